"""Which records of one entity does a caller see, and on which page?

A shelf keeps what is visible, as bytes ready to be sent, in the order (updated_at, id). Two orders are kept, with and
without the deleted ones, so that a page and a total are two bisections whatever the size.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from scheduler.embedded.demo.plant.schema import RecordId

Mark = tuple[int, Any]
"""A place in the order: (milliseconds, id). A mark of one part, `(milliseconds,)`, lies before all of that moment."""

Row = tuple[int, Any, bytes]


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

    def put(self, record_id: RecordId, item: Item) -> None:
        """Show this version of a record in place of the one before."""
        before = self.items.get(record_id)
        if before is not None:
            self._take_out(record_id, before)
        self.items[record_id] = item
        row = (item.moment, record_id, item.raw)
        insort(self.everything, row)
        if not item.deleted:
            insort(self.live, row)

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

    def count_since(self, since: int | None, *, deleted: bool) -> int:
        rows = self.rows(deleted=deleted)
        return len(rows) - (0 if since is None else bisect_left(rows, (since,)))

    def after(
        self, mark: Mark | None, since: int | None, limit: int, *, deleted: bool
    ) -> tuple[list[Row], bool]:
        """Up to `limit` rows behind `mark` and not before `since`, and whether there are more."""
        rows = self.rows(deleted=deleted)
        start = 0 if since is None else bisect_left(rows, (since,))
        if mark is not None:
            # The third part of a row is bytes: this is behind every version with that moment and id.
            start = max(start, bisect_right(rows, mark, key=lambda row: row[:2]))
        return rows[start : start + limit], len(rows) > start + limit

    def at(
        self, offset: int, since: int | None, limit: int, *, deleted: bool, newest_first: bool
    ) -> list[Row]:
        """Up to `limit` rows from the `offset`th on: what moves between two calls shifts, as it does in real systems."""
        rows = self.rows(deleted=deleted)
        start = 0 if since is None else bisect_left(rows, (since,))
        if not newest_first:
            return rows[start + offset : start + offset + limit]
        end = max(start, len(rows) - offset)
        return rows[max(start, end - limit) : end][::-1]

    def _take_out(self, record_id: RecordId, item: Item) -> None:
        row = (item.moment, record_id, item.raw)
        del self.everything[bisect_left(self.everything, row)]
        if not item.deleted:
            del self.live[bisect_left(self.live, row)]
