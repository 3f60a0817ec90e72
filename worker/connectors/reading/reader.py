"""What does an answer hold? The bytes of a page become records, in one pass and exactly as they were sent.

The hot path: msgspec checks the whole page, hands out each record's bytes as a slice, and from each record builds
only the few fields that the engine needs. Whatever doesn't fit that path is read again with care, which either takes
the record after all or says why not; so the fast way is only faster, never different. A bad record is set aside and
its page goes on; a page that is none raises Transient `malformed_page` and says what came instead.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import xxhash

from worker.connectors.contract import CursorValue, Record, Rejected
from worker.connectors.cursors import WIRE, microseconds, parse_cursor
from worker.connectors.reading.fields import Picker, walk
from worker.connectors.reading.keys import MAX_CHARACTERS, make_key
from worker.connectors.reading.paging import Seen, decode_pointer
from worker.connectors.reading.shape import FieldPath, Shape, TimeField
from worker.connectors.reading.split import elements, slices
from worker.connectors.reading.suspects import bad_text, parse_carefully, what_came
from worker.errors import BadRecord, Transient

_PARSE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_CAREFUL = (*_PARSE_ERRORS, BadRecord, ValueError, OverflowError)
_digest = xxhash.xxh3_128_digest


@dataclass(slots=True)
class Reading:
    """What a page holds, and what it says about the pages around it."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    seen: Seen = field(default_factory=lambda: Seen(0))


class Reader:
    """Reads the pages of one stream. Made once per stream; safe to share between threads."""

    def __init__(self, shape: Shape, pointer: FieldPath | None = None) -> None:
        self._shape = shape
        self._beside = [path for path in (pointer, shape.total) if path]
        self._pointer = pointer
        self._page = _page_picker(shape, self._beside)
        self._fields = _Fields(shape)

    def read(self, body: bytes) -> Reading:
        body = body.removeprefix(b"\xef\xbb\xbf")  # some servers begin with a byte order mark
        raws, beside = self._split(body)
        sound = not bad_text(body)
        by_key: dict[str, Record] = {}
        rejected: list[Rejected] = []
        take = self._fields.take
        for piece in raws:
            raw = bytes(piece)
            try:
                record = take(raw) if sound else self._fields.take_carefully(raw)
            except _CAREFUL:
                try:
                    record = self._fields.take_carefully(raw)
                except BadRecord as exc:
                    rejected.append(Rejected(raw, exc.code, exc.message, self._fields.key_if_any(raw)))
                    continue
            key = record.key
            if key in by_key and _is_older(record, by_key[key]):
                continue
            by_key[key] = record
        return Reading(list(by_key.values()), rejected, self._seen(len(raws), beside))

    def _split(self, body: bytes) -> tuple[Sequence[Any], dict[FieldPath, bytes]]:
        try:
            if self._page is None:
                return msgspec.json.decode(body, type=list[msgspec.Raw]), {}
            raws, *values = self._page(body)
        except msgspec.ValidationError:
            raise _malformed(body, self._shape.records) from None
        except _PARSE_ERRORS:
            return self._split_carefully(body)
        beside = {path: bytes(raw) for path, raw in zip(self._beside, values, strict=True) if raw is not None}
        return raws, beside

    def _split_carefully(self, body: bytes) -> tuple[Sequence[Any], dict[FieldPath, bytes]]:
        records = self._shape.records
        try:
            found = slices(body, {records, *self._beside})
            return elements(found.pop(records)), found
        except (ValueError, KeyError):
            raise _malformed(body, records) from None

    def _seen(self, count: int, beside: dict[FieldPath, bytes]) -> Seen:
        pointer = beside.get(self._pointer) if self._pointer else None
        total = beside.get(self._shape.total) if self._shape.total else None
        return Seen(
            count=count,
            pointer=decode_pointer(pointer) if pointer is not None else None,
            total=int(total) if total is not None and total.isdigit() and len(total) < 16 else None,
        )


@lru_cache(maxsize=1024)
def shared_reader(shape: Shape, pointer: FieldPath | None = None) -> Reader:
    """The reader of a stream for all connections of its system: it goes by the manifest alone, and making one is dear."""
    return Reader(shape, pointer)


class _Fields:
    """Takes one record apart: quickly where it is as expected, with care where it isn't."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        paths = dict.fromkeys(_wanted(shape))
        kinds = _kinds(shape)
        self._order = list(paths)
        self._pick = _picker([(path, kinds[path]) for path in paths])
        self._keys = [self._order.index(path) for path in shape.key]
        self._rearranged = bool(shape.volatile) or shape.shuffled
        self._only_key = self._keys[0] if len(self._keys) == 1 else -1
        self._cursor = self._places(shape.cursor)
        self._updated = self._places(shape.updated_at)
        self._version = self._order.index(shape.version) if shape.version else -1
        self._deleted = self._order.index(shape.deleted.path) if shape.deleted else -1

    def take(self, raw: bytes) -> Record:
        """The fast way. Anything unexpected raises, and the record is read with care."""
        if self._pick is None:
            return self.take_carefully(raw)
        return self._record(raw, self._pick(raw))

    def take_carefully(self, raw: bytes) -> Record:
        """The record, or `BadRecord` with the reason in words."""
        data = parse_carefully(raw)
        return self._record(raw, [walk(data, path) for path in self._order])

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
        cursor = _time(values, self._cursor, shape.cursor) if shape.cursor else None
        if shape.updated_at is shape.cursor:
            updated = cursor
        else:
            updated = _time(values, self._updated, shape.updated_at) if shape.updated_at else None
        return Record(
            key=key,
            raw=raw,
            digest=_digest(_without(raw, shape.volatile) if self._rearranged else raw),
            version=_version(values[self._version]) if self._version >= 0 else None,
            cursor=cursor,
            updated_at=updated if isinstance(updated, datetime) else None,
            deleted=self._deleted >= 0
            and shape.deleted is not None
            and shape.deleted.marks(values[self._deleted]),
        )

    def _places(self, time: TimeField | None) -> list[int]:
        return [self._order.index(path) for path in time.paths] if time else []


def _time(values: Sequence[Any], places: Iterable[int], time: TimeField) -> CursorValue | None:
    for place in places:
        if (value := values[place]) is not None:
            if type(value) is datetime and value.tzinfo is UTC:
                return value
            return parse_cursor(value, time.form, time.zone)
    return None


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


def _is_older(record: Record, other: Record) -> bool:
    return record.version is not None and other.version is not None and record.version < other.version


def _without(raw: bytes, volatile: tuple[FieldPath, ...]) -> bytes:
    """The fields in the order of their names, without the volatile ones; values byte by byte as they came."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except _PARSE_ERRORS:
        return raw
    gone = {path[0] for path in volatile if len(path) == 1}
    parts = []
    for name in sorted(fields.keys() - gone):
        value = bytes(fields[name])
        below = tuple(path[1:] for path in volatile if path[0] == name and len(path) > 1)
        parts.append(json.dumps(name).encode() + b":" + (_without(value, below) if below else value))
    return b"{" + b",".join(parts) + b"}"


def _wanted(shape: Shape) -> list[FieldPath]:
    times = [path for time in (shape.cursor, shape.updated_at) if time for path in time.paths]
    others = [path for path in (shape.version, shape.deleted.path if shape.deleted else None) if path]
    return [*shape.key, *times, *others]


def _kinds(shape: Shape) -> dict[FieldPath, Any]:
    """How each field is read fast. One that serves two purposes of different kinds is built as whatever it is."""
    wishes: list[tuple[FieldPath, Any]] = [(path, int | str | None) for path in shape.key]
    for time in (shape.cursor, shape.updated_at):
        wishes += [(path, WIRE[time.form]) for path in time.paths] if time else []
    kinds: dict[FieldPath, Any] = {}
    for path, kind in wishes:
        kinds[path] = kind if kinds.get(path, kind) == kind else Any
    if shape.version:
        kinds.setdefault(shape.version, int | str | None)
    if shape.deleted:
        kinds[shape.deleted.path] = Any
    return kinds


def _picker(wanted: list[tuple[FieldPath, Any]]) -> Picker | None:
    try:
        return Picker(wanted)
    except TypeError:
        return None


def _page_picker(shape: Shape, beside: Sequence[FieldPath]) -> Picker | None:
    if not shape.records:
        return None
    wanted: list[tuple[FieldPath, Any]] = [(shape.records, list[msgspec.Raw])]
    return Picker([*wanted, *((path, msgspec.Raw) for path in beside)], required=shape.records)


def _malformed(body: bytes, records: FieldPath) -> Transient:
    where = f"at {'.'.join(records)!r}" if records else "as the whole answer"
    return Transient("malformed_page", f"A list of records was expected {where}; {what_came(body, records)}")
