"""What does an answer hold that was asked for below an entry of a list? The children of that one parent.

    GET /orders             [{"id": 7, "updatedAt": "…"}]
    GET /orders/7/lines     {"items": [{"no": 1}, {"no": 2}]}

The parent's fields stand in the list's entry, or, where its own answer holds its children (`whole`), there. In the first case
the two are put together as one parent, which is taken apart like any other (`explosion`): a child, a family and a
mistake are then the same, however they came.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import msgspec

from worker.connectors.contract import Family, Listed, Page, Record, Rejected, Singles
from worker.connectors.reading.explosion import stem_of, stems_of
from worker.connectors.reading.fields import PARSE_ERRORS, Picker
from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import Explode, FieldPath
from worker.connectors.reading.split import slices
from worker.connectors.reading.suspects import what_came
from worker.errors import BadRecord

BELOW = "."
"""Where the answer stands in the parent that is put together: no field of a parent is called so."""
_BOM = b"\xef\xbb\xbf"
_NULL = b"null"


def put_together(explode: Explode, record: FieldPath) -> Explode:
    """How a parent is taken apart that has its fields from the list, and the answer beside them."""
    path = (BELOW, *record, *explode.path)
    return replace(
        explode, path=path, parent=tuple((name, (name,)) for name, _ in explode.parent), removed=None
    )


@dataclass(slots=True)
class Heads:
    """What the entries of a page say of their parents."""

    of: dict[str, bytes] = field(default_factory=dict)
    """The fields that children get, by the key that is asked for."""
    gone: list[Family] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class Entries:
    """Takes out of a list's entries what their children get of them."""

    def __init__(self, keys: frozenset[FieldPath], explode: Explode) -> None:
        """`keys`: the fields that hold the key, where it is one value."""
        self._keys = keys
        self._names = [json.dumps(name).encode() for name, _ in explode.parent]
        self._paths = [path for _, path in explode.parent]
        removed = explode.removed
        self._gone: tuple[FieldPath, ...] = (removed.field, *removed.key) if removed else ()
        self._wanted = list(dict.fromkeys([*self._paths, *self._gone]))
        self._pick = _picker(self._wanted)

    def heads(self, entries: Sequence[Record]) -> Heads:
        found = Heads()
        for entry in entries:
            try:
                known = self._known(entry.raw)
                if self._gone and known[self._gone[0]] not in {_NULL, b"false"}:
                    stem = stem_of([known[path] for path in self._gone[1:]])
                    found.gone.append(Family(stem, told=True))
                    continue
            except BadRecord as exc:
                found.rejected.append(Rejected(entry.raw, exc.code, exc.message))
                continue
            fields = zip(self._names, (known[path] for path in self._paths), strict=True)
            found.of[entry.key] = b",".join(name + b":" + value for name, value in fields)
        return found

    def _known(self, raw: bytes) -> Mapping[FieldPath, bytes]:
        if raw[:1] != b"{":  # the key and nothing else
            return {path: raw if path in self._keys else _NULL for path in self._wanted}
        try:
            if self._pick is not None:
                values = self._pick(raw)
                picked = (_NULL if value is None else bytes(value) for value in values)
                return dict(zip(self._wanted, picked, strict=True))
        except PARSE_ERRORS:
            pass
        found = slices(raw, set(self._wanted))
        return {path: found.get(path, _NULL) for path in self._wanted}


def _picker(wanted: Sequence[FieldPath]) -> Picker | None:
    """None: the fields can't be read together, as one lies in the other."""
    try:
        return Picker([(path, msgspec.Raw) for path in wanted])
    except TypeError:
        return None


@lru_cache(maxsize=256)
def shared_entries(keys: frozenset[FieldPath], explode: Explode) -> Entries:
    """Those of a stream, for all connections of its system."""
    return Entries(keys, explode)


def parents_alone(page: Page, entries: Entries, singles: Callable[[Mapping[str, bytes]], Singles]) -> Page:
    """A page of a list whose entries only say which parents there are: who is asked below them is told what the entries said."""
    heads = entries.heads(page.records)
    marks = [(entry.key, entry.digest.hex()) for entry in page.records]
    rejected = [replace(bad, key=None) for bad in page.rejected] + heads.rejected
    listed = Listed(marks, True, heads.gone, pending=[*heads.of], below=singles(heads.of))
    return replace(page, records=[], rejected=rejected, listed=listed)


def gone_below(key: str, fields: int) -> Page:
    """There is nothing below this parent, whose key has so many fields."""
    return Page([], listed=Listed((), True, [Family(stem, "not_found") for stem in stems_of(key, fields)]))


def children(reader: Reader, body: bytes, head: bytes, path: FieldPath, key: str) -> Page:
    """What an answer holds at a path, for the parent of whom the list said `head`."""
    body = body.removeprefix(_BOM)
    reading = reader.of_parent(b'{"' + BELOW.encode() + b'":' + (body or _NULL) + b"," + head + b"}")
    if any(bad.code == "not_a_list" for bad in reading.rejected) or _is_missing(reading.listed, body, path):
        where = f" at {'.'.join(path)!r}" if path else ""
        words = f"Below {key!r} a list of records was expected{where}; {what_came(body, path)}"
        return Page([], [Rejected(body, "malformed_answer", words)])
    return Page(reading.records, reading.rejected, listed=reading.listed)


def of_whole(reader: Reader, body: bytes, parent: bytes | None, key: str, fields: int) -> Page:
    """The children that the parent itself holds, if it is the one that was asked for."""
    if parent is None:
        return Page(
            [], [Rejected(body, "malformed_answer", f"Asked for {key!r}, the system sent no record.")]
        )
    reading = reader.of_parent(parent)
    families = reading.listed.families if reading.listed is not None else ()
    if any(family.stem not in stems_of(key, fields) for family in families):
        return Page(
            [], [Rejected(parent, "other_record", f"Asked for {key!r}, the system sent another record.")]
        )
    return Page(reading.records, reading.rejected, listed=reading.listed)


@lru_cache(maxsize=256)
def _at(path: FieldPath) -> Picker:
    return Picker([(path, msgspec.Raw)])


def says_more(body: bytes, path: FieldPath) -> bool:
    """Whether an answer says there that it doesn't hold all."""
    try:
        (found,) = _at(path)(body.removeprefix(_BOM))
    except PARSE_ERRORS:
        return False  # what can't be read is set aside anyway
    return found is not None and bytes(found) not in {_NULL, b"false", b'""'}


def _is_missing(listed: Listed | None, body: bytes, path: FieldPath) -> bool:
    """Whether nothing at all stands where the list should: null says that there is nothing to say."""
    if listed is None or listed.families:
        return False
    head = path[: path.index("*")] if "*" in path else path
    try:
        return bool(head) and head not in slices(body, {head})
    except ValueError:
        return True
