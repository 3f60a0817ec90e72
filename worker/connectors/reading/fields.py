"""How are a few fields taken out of JSON without building the rest? msgspec types made from a list of paths.

Fields that aren't asked for are checked and skipped, never built; `Raw` fields keep the bytes exactly as they were
sent. A path that is missing is None. A number in a path is a place in a list (`partner_id.0`). Two paths may share a stem
(`meta.id`, `meta.updated`), and one may be the stem of another (`asset`, `asset.id`) only where the shorter one is asked
for as `Any`.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from worker.connectors.reading.shape import INDEXES, FieldPath

PARSE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Picker:
    """Reads the values at some paths, in their order, as a tuple."""

    def __init__(self, wanted: Sequence[tuple[FieldPath, Any]], *, required: FieldPath | None = None) -> None:
        self._tree: dict[str, Any] = {}
        for path, kind in wanted:
            _plant(self._tree, path, kind)
        self.type, places = _struct(self._tree, (), required)
        self.attributes = [".".join(places[path]) for path, _ in wanted]
        """Where `type` holds each value, for attrgetter."""
        self._decode: Callable[[Any], Any] = msgspec.json.Decoder(self.type).decode
        flat = len(wanted) > 1 and all(len(path) == 1 for path, _ in wanted)
        self._flat = attrgetter(*(places[path][0] for path, _ in wanted)) if flat else None
        self._getters = [_getter(places[path]) for path, _ in wanted]

    def __call__(self, raw: Any) -> tuple[Any, ...]:
        """The values; raises msgspec's errors, RecursionError or UnicodeDecodeError."""
        found = self._decode(raw)
        if self._flat is not None:
            return self._flat(found)
        return tuple(get(found) for get in self._getters)


def walk(value: Any, path: FieldPath) -> Any:
    """The same on plain data: the value at a path, None where there is none."""
    for name in path:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name in INDEXES:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def _plant(tree: dict[str, Any], path: FieldPath, kind: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise TypeError(f"The path {'.'.join(path)} leads through another field.")
    if path[-1] in tree and tree[path[-1]] != kind:
        raise TypeError(f"The field {'.'.join(path)} is wanted in two ways.")
    tree[path[-1]] = kind


def _struct(
    tree: dict[str, Any], at: FieldPath, required: FieldPath | None
) -> tuple[type, dict[FieldPath, Any]]:
    if any(name in INDEXES for name in tree):
        return _places_of(tree, at)
    fields: list[Any] = []
    renamed: dict[str, str] = {}
    places: dict[FieldPath, tuple[str, ...]] = {}
    needed = required[len(at)] if required and required[: len(at)] == at and len(required) > len(at) else None
    for number, name in enumerate(sorted(tree, key=lambda name: name != needed)):
        path, attribute, kind = (*at, name), f"f{number}", tree[name]
        renamed[attribute] = name
        places[path] = (attribute,)
        if isinstance(kind, dict):
            kind, inner = _struct(kind, path, required)
            places |= {below: (attribute, *rest) for below, rest in inner.items()}
            kind = kind if name == needed else kind | None
        fields.append((attribute, kind) if name == needed else (attribute, kind, None))
    return msgspec.defstruct("Picked", fields, rename=renamed, gc=False), places


def _places_of(tree: dict[str, Any], at: FieldPath) -> tuple[type, dict[FieldPath, Any]]:
    """The same of a list. An object in its place is no error of the record, so whoever reads goes on with care."""
    if not all(name in INDEXES for name in tree):
        raise TypeError(f"The path {'.'.join(at)} leads into a list and into an object.")
    fields: list[Any] = [
        (f"f{place}", msgspec.Raw, None) for place in range(max(int(name) for name in tree) + 1)
    ]
    places: dict[FieldPath, tuple[str, ...]] = {}
    for name, wanted in tree.items():
        path, attribute = (*at, name), f"f{int(name)}"
        places[path] = (attribute,)
        kind = wanted
        if isinstance(wanted, dict):
            below, inner = _struct(wanted, path, None)
            places |= {deeper: (attribute, *rest) for deeper, rest in inner.items()}
            kind = below | None
        fields[int(name)] = (attribute, kind, None)
    return msgspec.defstruct("Places", fields, array_like=True, gc=False), places


def _getter(names: tuple[str, ...]) -> Callable[[Any], Any]:
    def get(found: Any) -> Any:
        for name in names:
            if found is None:
                return None
            found = getattr(found, name)
        return found

    return get
