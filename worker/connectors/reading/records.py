"""What does the engine need of a record? Key, cursor, version and hash: of one record, or of a whole page at once.

A page whose records are all as the manifest says is taken apart by columns: a few calls that each go over all records
without coming back to Python for every one. It gives up at the first thing that is not so, and each record is then read
by itself, which says the same and what is wrong.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import repeat
from operator import attrgetter, floordiv, sub
from typing import Any

import msgspec

from worker.connectors.clocks import parse_day_and_time
from worker.connectors.contract import CursorValue, Record
from worker.connectors.cursors import EPOCH, MICROSECOND, WIRE, comes_twice, microseconds, parse_cursor
from worker.connectors.reading.digests import digest, digest_of, is_rearranged
from worker.connectors.reading.emptiness import Empties
from worker.connectors.reading.fields import PARSE_ERRORS, Picker, walk
from worker.connectors.reading.keys import MAX_CHARACTERS, make_key
from worker.connectors.reading.listing import Listing
from worker.connectors.reading.shape import FieldPath, Shape, TimeField
from worker.connectors.reading.suspects import parse_carefully, readable
from worker.errors import BadRecord

CAREFUL = (*PARSE_ERRORS, BadRecord, ValueError, OverflowError)


class Fields:
    """Takes one record apart: quickly where it is as expected, with care where it isn't."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        paths = dict.fromkeys(_wanted(shape))
        kinds = _kinds(shape)
        self.order = list(paths)
        self.pick = _picker([(path, kinds[path]) for path in paths])
        self._keys = [self.order.index(path) for path in shape.key]
        self._only_key = self._keys[0] if len(self._keys) == 1 else -1
        self._cursor = self._places(shape.cursor)
        self._updated = self._places(shape.updated_at)
        self._version = self.order.index(shape.version) if shape.version else -1
        self._timed = _timed_version(shape)
        self._deleted = self.order.index(shape.deleted.path) if shape.deleted else -1
        self._empties = Empties(shape)

    def take(self, raw: bytes) -> Record:
        """The fast way. Anything unexpected raises, and the record is read with care."""
        if self.pick is None:
            return self.take_carefully(raw)
        return self._record(raw, self.pick(raw))

    def take_carefully(self, raw: bytes) -> Record:
        """The record, or `BadRecord` with the reason in words. What Postgres couldn't open is kept beside a readable copy."""
        data = parse_carefully(raw)
        record = self._record(raw, [walk(data, path) for path in self.order])
        copy = readable(raw)
        if copy != raw:
            record.raw, record.exact = copy, raw
        return record

    def take_row(self, raw: bytes) -> Record:
        """An entry of a list that may be a key and nothing else."""
        if raw[:1] == b"{":
            return self.take_carefully(raw)
        return Record(make_key((msgspec.json.decode(raw, type=int | str),)), raw, digest(raw))

    def cursor_of(self, raw: bytes) -> CursorValue | None:
        """The cursor alone, of something that may be no record; None where it says none."""
        if self._shape.cursor is None:
            return None
        try:
            data = parse_carefully(raw)
            values: Sequence[Any] = [walk(data, path) for path in self.order]
            values = self._empties.in_order(self.order, values) if self._shape.empty else values
            return _time(values, self._cursor, self._shape.cursor)
        except CAREFUL:
            return None

    def key_if_any(self, raw: bytes) -> str | None:
        """The key of a rejected record, where at least that can be read."""
        try:
            data = parse_carefully(raw)
            return make_key([walk(data, path) for path in self._shape.key])
        except BadRecord:
            return None

    def _record(self, raw: bytes, values: Sequence[Any]) -> Record:
        shape = self._shape
        key = values[self._only_key] if self._only_key >= 0 else None
        if type(key) is not str or not key.isascii() or "\0" in key or not 0 < len(key) <= MAX_CHARACTERS:
            key = make_key([values[at] for at in self._keys])
        if shape.empty:
            values = self._empties.in_order(self.order, values)
        cursor = _time(values, self._cursor, shape.cursor) if shape.cursor else None
        if cursor is None and shape.needs_cursor:
            raise BadRecord("no_cursor", "The record doesn't say when it was changed.")
        if shape.updated_at is shape.cursor:
            updated = cursor
        else:
            updated = _time(values, self._updated, shape.updated_at) if shape.updated_at else None
        return Record(
            key,
            raw,
            digest_of(raw, shape),
            self._version_of(values, cursor, updated),
            cursor,
            updated if isinstance(updated, datetime) else None,
            self._deleted >= 0 and shape.deleted is not None and shape.deleted.marks(values[self._deleted]),
        )

    def _version_of(
        self, values: Sequence[Any], cursor: CursorValue | None, updated: CursorValue | None
    ) -> int | None:
        if self._version < 0:
            return None
        if self._timed is not None:
            found = cursor if self._timed is self._shape.cursor else updated
            return _version_at(found, self._timed) if isinstance(found, datetime) else found
        return _version(values[self._version])

    def _places(self, time: TimeField | None) -> list[int]:
        return [self.order.index(path) for path in time.paths] if time else []


class Columns:
    """Takes the records of a whole page apart."""

    def __init__(self, shape: Shape, picker: Picker, order: Sequence[FieldPath], listing: Listing) -> None:
        self._shape = shape
        self._pick = _whole(picker, listing)
        self._get = {path: attrgetter(name) for path, name in zip(order, picker.attributes, strict=True)}
        self._timed = _timed_version(shape)
        self._empties = Empties(shape)

    def read(self, body: bytes, raws: list[bytes]) -> list[Record] | None:
        """All of them; None where any record is not as expected."""
        try:
            picked = self._pick(body)
            if len(picked) != len(raws):
                return None
            column: Callable[[FieldPath], list[Any]] = lambda path: list(map(self._get[path], picked))  # noqa: E731
            return self._records(raws, self._empties.in_columns(column) if self._shape.empty else column)
        except (*CAREFUL, AttributeError, TypeError):
            return None

    def _records(self, raws: list[bytes], column: Callable[[FieldPath], list[Any]]) -> list[Record] | None:
        shape = self._shape
        digests = map(digest, raws) if not is_rearranged(shape) else (digest_of(raw, shape) for raw in raws)
        cursors = _times(shape.cursor, column, len(raws))
        updated = cursors if shape.updated_at is shape.cursor else _times(shape.updated_at, column, len(raws))
        if shape.needs_cursor and None in cursors:
            return None
        versions = self._versions(column, cursors, updated)
        if not _are_times(updated):
            updated = [value if isinstance(value, datetime) else None for value in updated]
        deleted = self._deleted(column, len(raws))
        return list(map(Record, _keys(shape, column), raws, digests, versions, cursors, updated, deleted))

    def _versions(
        self, column: Callable[[FieldPath], list[Any]], cursors: list[Any], updated: list[Any]
    ) -> list[int | None]:
        shape, timed = self._shape, self._timed
        if shape.version is None:
            return [None] * len(cursors)
        read_already = cursors if timed is shape.cursor else updated
        found = column(shape.version) if timed is None else read_already
        if not _are_times(found):
            if timed is None:
                return list(map(_version, found))
            return [_version_at(at, timed) if isinstance(at, datetime) else at for at in found]
        if timed is not None and timed.zone is not UTC:
            return [_version_at(at, timed) for at in found]
        return list(map(floordiv, map(sub, found, repeat(EPOCH)), repeat(MICROSECOND)))

    def _deleted(self, column: Callable[[FieldPath], list[Any]], count: int) -> list[bool]:
        mark = self._shape.deleted
        if mark is None:
            return [False] * count
        return list(map(bool if mark.equals is None else mark.marks, column(mark.path)))


def columns_of(shape: Shape, fields: Fields, listing: Listing) -> Columns | None:
    """None: the fields can't be read together."""
    return Columns(shape, fields.pick, fields.order, listing) if fields.pick is not None else None


def _whole(picker: Picker, listing: Listing) -> Callable[[bytes], Sequence[Any]]:
    """Decodes a page to what is picked of its records."""
    every = listing.typed(picker.type)
    decode = msgspec.json.Decoder(every).decode
    if listing.head:
        page = Picker([(listing.head, every)], required=listing.head)
        decode = lambda body: page(body)[0]  # noqa: E731
    return decode if listing.is_plain else lambda body: listing.flat(decode(body))


def _keys(shape: Shape, column: Callable[[FieldPath], list[Any]]) -> Sequence[str]:
    if len(shape.key) > 1:
        return list(map(make_key, zip(*map(column, shape.key), strict=True)))
    keys = column(shape.key[0])
    kinds = set(map(type, keys))
    if kinds == {int} and min(keys) > -(2**63) and max(keys) < 2**64:
        return list(map(str, keys))
    if kinds == {str} and all(map(str.isascii, keys)) and "\0" not in "".join(keys):
        sizes = list(map(len, keys))
        if min(sizes) > 0 and max(sizes) <= MAX_CHARACTERS:
            return keys
    return [make_key((key,)) for key in keys]


def _times(
    time: TimeField | None, column: Callable[[FieldPath], list[Any]], count: int
) -> list[CursorValue | None]:
    if time is None:
        return [None] * count
    if len(time.paths) == 1:
        found = column(time.paths[0])
        if _are_times(found):
            return found
        return [_time((value,), (0,), time) for value in found]
    places = range(len(time.paths))
    return [_time(values, places, time) for values in zip(*map(column, time.paths), strict=True)]


def _are_times(values: list[Any]) -> bool:
    """Whether all are times in UTC; anything else is looked at one by one."""
    return set(map(type, values)) == {datetime} and {value.tzinfo for value in values} == {UTC}


def _time(values: Sequence[Any], places: Iterable[int], time: TimeField) -> CursorValue | None:
    if time.together:
        day, clock = (values[place] for place in places)
        return parse_day_and_time(day, clock, time.form, time.zone)
    for place in places:
        if (value := values[place]) is not None:
            if type(value) is datetime and value.tzinfo is UTC:
                return value
            return parse_cursor(value, time.form, time.zone)
    return None


def _timed_version(shape: Shape) -> TimeField | None:
    """The time that is the version, too, and is read in its zone; None: the version is a field of its own."""
    for time in (shape.cursor, shape.updated_at):
        if time is not None and time.paths == (shape.version,):
            return time
    return None


def _version_at(moment: datetime, time: TimeField) -> int | None:
    """An hour that comes twice can't tell which of two changes was the later: what was asked for later counts then."""
    return None if comes_twice(moment, time.zone) else microseconds(moment)


def _version(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is datetime and value.tzinfo is UTC:
        return microseconds(value)
    if type(value) is int:
        return int(parse_cursor(value, "number") or 0)  # type: ignore[arg-type]
    try:
        parsed = parse_cursor(value, "iso8601")
    except BadRecord:
        parsed = parse_cursor(value, "number")
    return microseconds(parsed) if isinstance(parsed, datetime) else parsed


def _wanted(shape: Shape) -> list[FieldPath]:
    times = [path for time in (shape.cursor, shape.updated_at) if time for path in time.paths]
    others = [path for path in (shape.version, shape.deleted.path if shape.deleted else None) if path]
    return [*shape.key, *times, *others]


def _kinds(shape: Shape) -> dict[FieldPath, Any]:
    """How each field is read fast. One that serves two purposes of different kinds is built as whatever it is."""
    wishes: list[tuple[FieldPath, Any]] = [(path, int | str | None) for path in shape.key]
    for time in (shape.cursor, shape.updated_at):
        as_is = bool(shape.empty) or (time is not None and time.together)
        wishes += (
            [(path, Any if as_is else WIRE.get(time.form, int | str | None)) for path in time.paths]
            if time
            else []
        )
    kinds: dict[FieldPath, Any] = {}
    for path, kind in wishes:
        kinds[path] = kind if kinds.get(path, kind) == kind else Any
    if shape.version:
        kinds.setdefault(shape.version, Any if shape.empty else int | str | None)
    if shape.deleted:
        kinds[shape.deleted.path] = Any
    return kinds


def _picker(wanted: list[tuple[FieldPath, Any]]) -> Picker | None:
    try:
        return Picker(wanted)
    except TypeError:
        return None
