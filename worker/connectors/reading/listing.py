"""Where are the records of an answer? At a path, in which `*` stands for every entry of a list.

    data                           the list there
    data.orders.edges.*.node       what stands at `node` in each entry of the list
    groups.*.items.*               the entries of the lists in the entries of a list

The types are built once, so msgspec cuts the records out of the page in one pass, as if there were no `*`. A list further
down that is null or missing holds nothing; an entry without what the path names is a record that is null, which is set
aside: it was there, and nobody can tell what it is.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec

from worker.connectors.reading.shape import FieldPath, parted
from worker.connectors.reading.split import elements, slices

_NULL = b"null"
_Step = Callable[[Sequence[Any]], Sequence[Any]]


class Listing:
    """The records at one path. `or_one`: an object in the place of the list is its only record."""

    def __init__(self, path: FieldPath, *, or_one: bool = False) -> None:
        self.path = path
        self.head, self._rest = parted(path)
        self._or_one = or_one
        self.is_plain = not self._rest and not or_one
        """What stands at the head is the list of records itself."""
        self._steps = _steps(self._rest)
        self._entries = msgspec.json.Decoder(list.__class_getitem__(_inner(self._rest, msgspec.Raw))).decode

    def typed(self, leaf: Any) -> Any:
        """The type of what stands at the head where its records are read as `leaf`."""
        return list.__class_getitem__(_inner(self._rest, leaf))

    @property
    def kept(self) -> Any:
        """The same for records that are kept as bytes."""
        return msgspec.Raw if self._or_one else self.typed(msgspec.Raw)

    def flat(self, found: Any) -> Sequence[Any]:
        """The records in what was read as `typed`, None where there is none."""
        for step in self._steps:
            found = step(found)
        return found  # type: ignore[no-any-return]

    def cut(self, found: Any) -> list[bytes]:
        """The bytes of the records in what was read as `kept`. Raises msgspec's errors."""
        if self._or_one:
            raw = bytes(found)
            if raw[:1] == b"{":
                return [raw]
            found = self._entries(raw)
        if not self._rest:
            return list(map(bytes, found))
        return [_NULL if raw is None else bytes(raw) for raw in self.flat(found)]

    def cut_carefully(self, head: bytes) -> list[bytes]:
        """The same from the bytes of what stands at the head, whatever else is wrong with them. Raises ValueError."""
        if self._or_one and head[:1] == b"{":
            return [head]
        found = elements(head)
        for name in self._rest:
            found = _every(found) if name == "*" else [_below(raw, name) for raw in found]
        return found


def _inner(rest: FieldPath, leaf: Any) -> Any:
    if not rest:
        return leaf
    inner = _inner(rest[1:], leaf)
    if rest[0] == "*":
        return list.__class_getitem__(inner) | None
    if inner is not msgspec.Raw:
        inner |= None
    return msgspec.defstruct("Entry", [("at", inner, None)], rename={"at": rest[0]}, gc=False) | None


def _steps(rest: FieldPath) -> list[_Step]:
    return [_all if name == "*" else _at for name in rest]


_get = attrgetter("at")


def _at(found: Sequence[Any]) -> Sequence[Any]:
    try:
        return list(map(_get, found))
    except AttributeError:
        return [None if entry is None else entry.at for entry in found]


def _all(found: Sequence[Any]) -> Sequence[Any]:
    return list(chain.from_iterable(filter(None, found)))


def _every(found: Sequence[bytes]) -> list[bytes]:
    return [raw for entries in found if entries != _NULL for raw in elements(entries)]


def _below(raw: bytes, name: str) -> bytes:
    if raw == _NULL:
        return raw
    if raw[:1] != b"{":
        raise ValueError("not an object")
    return slices(raw, {(name,)}).get((name,), _NULL)
