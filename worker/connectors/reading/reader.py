"""What does an answer hold? The bytes of a page become records, in one pass and exactly as they were sent.

The hot path: msgspec checks the whole page, hands out each record's bytes as a slice, and builds only the few fields that
the engine needs (`records`). Whatever doesn't fit that path is read again with care, which either takes the record
after all or says why not; so the fast way is only faster, never different. A bad record is set aside and
its page goes on; a page that is none raises Transient `malformed_page` and says what came instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec

from worker.connectors.contract import Listed, Record, Rejected
from worker.connectors.reading.explosion import Exploded, Explosion
from worker.connectors.reading.fields import PARSE_ERRORS, Picker
from worker.connectors.reading.listing import Listing
from worker.connectors.reading.records import CAREFUL, Fields, columns_of
from worker.connectors.reading.shape import INDEXES, FieldPath, Shape
from worker.connectors.reading.split import slices
from worker.connectors.reading.suspects import bad_text, what_came
from worker.connectors.reading.tabular import Tabular
from worker.errors import BadRecord, Transient


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer says about its place among the pages."""

    count: int
    """How many records it holds, bad ones too."""
    pointer: Any = None
    """What stands at `Paging.pointer`, decoded; None if nothing does."""
    total: int | None = None
    token: Any = None
    """What the next window begins with, where the answer says so."""
    more: bool | None = None
    """Whether there is more, where the answer says so."""
    first: bytes | None = None
    last: bytes | None = None
    """The first and the last record as they were sent."""


@dataclass(slots=True)
class Reading:
    """What a page holds, and what it says about the pages around it."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    seen: Seen = field(default_factory=lambda: Seen(0))
    listed: Listed | None = None


class Reader:
    """Reads the pages of one stream. Made once per stream; safe to share between threads."""

    def __init__(self, shape: Shape, pointer: FieldPath | None = None, more: FieldPath | None = None) -> None:
        self._shape = shape
        self._tabular = None if shape.columns is None else Tabular(shape.columns)
        named = self._tabular.head if self._tabular is not None else None
        beside = (pointer, shape.total, shape.token, more, named)
        self._beside = [*dict.fromkeys(path for path in beside if path)]
        self._pointer, self._more = pointer, more
        self._listing = Listing(shape.records, or_one=shape.or_one)
        self._page = _page_picker(self._listing, self._beside)
        self._whole = msgspec.json.Decoder(self._listing.kept).decode
        self._leads_into_lists = any(
            name in INDEXES for path in (self._listing.head, *self._beside) for name in path
        )
        self._fields = Fields(shape)
        self._explosion = None if shape.explode is None else Explosion(shape, shape.explode)
        made = self._explosion is not None or self._tabular is not None
        self._columns = columns_of(shape, self._fields, Listing(()) if made else self._listing)

    def read(self, body: bytes) -> Reading:
        body = body.removeprefix(b"\xef\xbb\xbf")  # some servers begin with a byte order mark
        pieces, beside = self._split(body)
        raws = list(map(bytes, pieces))
        sound = not bad_text(body)
        if self._tabular is not None:
            raws = self._tabular.objects(raws, beside)
            body = b"[" + b",".join(raws) + b"]"
        if self._explosion is not None:
            reading = self._of_parents(self._explosion.of(raws), sound=sound)
            return replace(reading, seen=self._seen(raws, beside))
        records = self._columns.read(body, raws) if sound and self._columns else None
        rejected: list[Rejected] = []
        if records is None:
            records, rejected = self._one_by_one(raws, sound=sound)
        return Reading(_once_each(records), rejected, self._seen(raws, beside))

    def cut(self, body: bytes) -> list[bytes]:
        """The bytes of each record of a page."""
        pieces, beside = self._split(body.removeprefix(b"\xef\xbb\xbf"))
        raws = list(map(bytes, pieces))
        return raws if self._tabular is None else self._tabular.objects(raws, beside)

    def take(self, raws: Sequence[bytes]) -> Reading:
        """Read records again that were cut from their page before, each with care."""
        records, rejected = self._one_by_one(raws, sound=False)
        return Reading(_once_each(records), rejected)

    def of_parent(self, raw: bytes) -> Reading:
        """The children of a parent that came by itself."""
        assert self._explosion is not None  # noqa: S101 - or it would be a record
        return self._of_parents(self._explosion.of([raw]), sound=not bad_text(raw))

    def _of_parents(self, found: Exploded, *, sound: bool) -> Reading:
        """The children of a page's parents, and what it says of those that the copy holds."""
        records, rejected = None, list[Rejected]()
        if sound and self._columns and found.children:
            records = self._columns.read(b"[" + b",".join(found.children) + b"]", found.children)
        if records is None:
            records, rejected = self._one_by_one(found.children, sound=sound)
        families = tuple(found.families_without({bad.raw for bad in rejected if bad.key is None}))
        cursors = [cursor for raw in found.childless if (cursor := self._fields.cursor_of(raw)) is not None]
        listed = Listed(found.marks, True, families, max(cursors, default=None))
        return Reading(_once_each(records), [*found.rejected, *rejected], listed=listed)

    def _one_by_one(self, raws: Sequence[bytes], *, sound: bool) -> tuple[list[Record], list[Rejected]]:
        records: list[Record] = []
        rejected: list[Rejected] = []
        take = self._fields.take if sound else self._fields.take_carefully
        if self._shape.rows:
            take = self._fields.take_row
        for raw in raws:
            try:
                records.append(take(raw))
            except CAREFUL:
                try:
                    records.append(self._fields.take_carefully(raw))
                except BadRecord as exc:
                    rejected.append(Rejected(raw, exc.code, exc.message, self._fields.key_if_any(raw)))
        return records, rejected

    def _split(self, body: bytes) -> tuple[Sequence[Any], dict[FieldPath, bytes]]:
        try:
            found, *values = self._page(body) if self._page is not None else (self._whole(body),)
            raws = found if self._listing.is_plain or found is None else self._listing.cut(found)
        except msgspec.ValidationError:
            if self._leads_into_lists:
                return self._split_carefully(body)
            raise self._malformed(body) from None
        except PARSE_ERRORS:
            return self._split_carefully(body)
        if raws is None:
            raise self._malformed(body)
        beside = {path: bytes(raw) for path, raw in zip(self._beside, values, strict=True) if raw is not None}
        return raws, beside

    def _split_carefully(self, body: bytes) -> tuple[Sequence[Any], dict[FieldPath, bytes]]:
        head = self._listing.head
        try:
            found = slices(body, {head, *self._beside})
            return self._listing.cut_carefully(found.pop(head)), found
        except (ValueError, KeyError):
            raise self._malformed(body) from None

    def _malformed(self, body: bytes) -> Transient:
        path, head = self._listing.path, self._listing.head
        where = f"at {'.'.join(path)!r}" if path else "as the whole answer"
        return Transient("malformed_page", f"A list of records was expected {where}; {what_came(body, head)}")

    def _seen(self, raws: Sequence[bytes], beside: dict[FieldPath, bytes]) -> Seen:
        pointer = beside.get(self._pointer) if self._pointer else None
        total = beside.get(self._shape.total) if self._shape.total else None
        token = beside.get(self._shape.token) if self._shape.token else None
        more = beside.get(self._more) if self._more else None
        return Seen(
            count=len(raws),
            more={b"true": True, b"false": False}.get(more) if more is not None else None,
            first=raws[0] if raws else None,
            last=raws[-1] if raws else None,
            pointer=_decode_pointer(pointer) if pointer is not None else None,
            token=_decode_pointer(token) if token is not None else None,
            total=_count_of(total),
        )


@lru_cache(maxsize=1024)
def shared_reader(shape: Shape, pointer: FieldPath | None = None, more: FieldPath | None = None) -> Reader:
    """The reader of a stream for all connections of its system: it goes by the manifest alone, and making one is dear."""
    return Reader(shape, pointer, more)


def _once_each(records: list[Record]) -> list[Record]:
    """A page that names a record twice: its greater version counts, and where that can't tell, its last word."""
    by_key = {record.key: record for record in records}
    if len(by_key) == len(records):
        return records
    by_key = {}
    for record in records:
        before = by_key.get(record.key)
        if before is None or not _is_older(record, before):
            by_key[record.key] = record
    return list(by_key.values())


def _is_older(record: Record, other: Record) -> bool:
    return record.version is not None and other.version is not None and record.version < other.version


def _page_picker(listing: Listing, beside: Sequence[FieldPath]) -> Picker | None:
    if not listing.head:
        return None
    wanted: list[tuple[FieldPath, Any]] = [(listing.head, listing.kept)]
    return Picker([*wanted, *((path, msgspec.Raw) for path in beside)], required=listing.head)


def _count_of(raw: bytes | None) -> int | None:
    """A number, also as a text: OData writes large ones so."""
    digits = b"" if raw is None else raw.strip(b'"')
    return int(digits) if digits.isdigit() and len(digits) < 16 else None


def _decode_pointer(raw: bytes) -> Any:
    """What stands where the next page is named."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Transient("malformed_page", "What names the next page can't be read.") from None
