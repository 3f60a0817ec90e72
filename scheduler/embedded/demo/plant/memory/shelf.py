"""Which records of one entity does a caller see, and on which page?

A shelf keeps what is visible, as bytes ready to be sent, in the order (updated_at, id). Two orders are kept, with and
without the deleted ones, so that a page and a total are two bisections whatever the size.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scheduler.embedded.demo.plant.schema import RecordId

Mark = tuple[int, Any]
"""A place in the order: (milliseconds, id). A mark of one part, `(milliseconds,)`, lies before all of that moment."""

Row = tuple[int, Any, bytes]


@dataclass(frozen=True, slots=True)
class Span:
    """What a caller asks for by time (milliseconds), both ends included; None is without a bound."""

    since: int | None = None
    until: int | None = None

    def within(self, rows: Sequence[tuple[Any, ...]]) -> tuple[int, int]:
        """Where the span begins and ends in rows that are sorted by their moment."""
        start = 0 if self.since is None else bisect_left(rows, (self.since,))
        end = len(rows) if self.until is None else bisect_left(rows, (self.until + 1,))
        return start, max(start, end)


@dataclass(slots=True)
class Item:
    moment: int
    raw: bytes
    deleted: bool


@dataclass(slots=True)
class Shelf:
    items: dict[RecordId, Item] = field(default_factory=dict)
    everything: list[Row] = field(default_factory=list)
    live: list[Row] = field(default_factory=list)
    purged: list[Mark] = field(default_factory=list)
    """What vanished, in the order (moment, id): the list of deletes that callers may read."""
    _purged_at: dict[RecordId, int] = field(default_factory=dict)

    def put(self, record_id: RecordId, item: Item) -> None:
        """Show this version of a record in place of the one before."""
        before = self.items.get(record_id)
        if before is not None:
            self._take_out(record_id, before)
        self._forget_purge(record_id)
        self.items[record_id] = item
        row = (item.moment, record_id, item.raw)
        insort(self.everything, row)
        if not item.deleted:
            insort(self.live, row)

    def purge(self, record_id: RecordId, moment: int) -> None:
        """Show it no more; only the list of deletes tells of it, until it is restored."""
        before = self.items.pop(record_id, None)
        if before is not None:
            self._take_out(record_id, before)
        self._forget_purge(record_id)
        self._purged_at[record_id] = moment
        insort(self.purged, (moment, record_id))

    def put_new(self, pairs: Iterable[tuple[RecordId, Item]]) -> None:
        """Many records at once, none of which was there before: sorted once, not one by one."""
        for record_id, item in pairs:
            self.items[record_id] = item
            row = (item.moment, record_id, item.raw)
            self.everything.append(row)
            if not item.deleted:
                self.live.append(row)
        self.everything.sort()
        self.live.sort()

    def rows(self, *, deleted: bool) -> list[Row]:
        return self.everything if deleted else self.live

    def without(self, every: int) -> "Shelf":
        """What a broken filter shows of it: each `every`th record isn't there for it."""

        def shown(rows: list[Row]) -> list[Row]:
            return [row for row in rows if _number(row[1]) % every]

        return Shelf(everything=shown(self.everything), live=shown(self.live), purged=self.purged)

    def count(self, span: Span, *, deleted: bool) -> int:
        start, end = span.within(self.rows(deleted=deleted))
        return end - start

    def after(self, mark: Mark | None, span: Span, limit: int, *, deleted: bool) -> tuple[list[Row], bool]:
        """Up to `limit` rows of the span behind `mark`, and whether there are more."""
        rows = self.rows(deleted=deleted)
        start, end = span.within(rows)
        if mark is not None:
            # The third part of a row is bytes: this is behind every version with that moment and id.
            start = max(start, bisect_right(rows, mark, key=lambda row: row[:2]))
        return rows[start : min(end, start + limit)], end > start + limit

    def at(self, offset: int, span: Span, limit: int, *, deleted: bool, newest_first: bool) -> list[Row]:
        """Up to `limit` rows from the `offset`th on: what moves between two calls shifts, as it does in real systems."""
        rows = self.rows(deleted=deleted)
        start, end = span.within(rows)
        if not newest_first:
            return rows[start + offset : min(end, start + offset + limit)]
        end = max(start, end - offset)
        return rows[max(start, end - limit) : end][::-1]

    def purged_after(self, mark: Mark | None, span: Span, limit: int) -> tuple[list[Mark], bool]:
        start, end = span.within(self.purged)
        if mark is not None:
            start = max(start, bisect_right(self.purged, mark))
        return self.purged[start : min(end, start + limit)], end > start + limit

    def _forget_purge(self, record_id: RecordId) -> None:
        moment = self._purged_at.pop(record_id, None)
        if moment is not None:
            del self.purged[bisect_left(self.purged, (moment, record_id))]

    def _take_out(self, record_id: RecordId, item: Item) -> None:
        row = (item.moment, record_id, item.raw)
        del self.everything[bisect_left(self.everything, row)]
        if not item.deleted:
            del self.live[bisect_left(self.live, row)]


def _number(record_id: RecordId) -> int:
    """Digits at the end of an id, whatever its form."""
    digits = str(record_id).rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
