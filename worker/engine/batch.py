"""What is written in one commit? Some consecutive pages, each record once, in the order of the keys.

In one order for all, so that two runs on one stream can't wait for each other in a circle. Pages that shift may name a
record twice: its greatest version stays, and where that can't tell, its last word.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg

from worker.connectors.contract import Page, Record, Rejected
from worker.engine.rows import Row


@dataclass(frozen=True, slots=True)
class Batch:
    """Pages on their way into the copy, or what is left of them."""

    rows: Sequence[Row]
    rejected: Sequence[tuple[int, Rejected]]
    """With the page of the run that it came on."""
    pages: int
    first: int
    """The number of its first page among the run's."""
    size: int
    """Bytes of the records."""
    read: int
    total: int | None

    @classmethod
    def of(cls, pages: Sequence[tuple[Page, bytes]], *, first: int) -> "Batch":
        """Pages with the times at which they were asked for, packed."""
        rows = once_each((record, at) for page, at in pages for record in page.records)
        rejected = [(number, bad) for number, (page, _) in enumerate(pages, first) for bad in page.rejected]
        totals = [page.total for page, _ in pages if page.total is not None]
        return cls(
            rows=rows,
            rejected=rejected,
            pages=len(pages),
            first=first,
            size=sum([len(record.raw) for record, _ in rows]),
            read=len(rows) + len(rejected),
            total=totals[-1] if totals else None,
        )

    def without(self, refused: set[int], refusal: psycopg.Error) -> "Batch":
        """The same without what Postgres refuses; each refused record is set aside."""
        words = str(refusal).split("\n")[0]
        aside = [
            (self.first, Rejected(record.raw, "refused_by_postgres", words, record.key))
            for place, (record, _) in enumerate(self.rows)
            if place in refused
        ]
        left = [row for place, row in enumerate(self.rows) if place not in refused]
        return replace(self, rows=left, rejected=[*self.rejected, *aside])

    def rejected_by_page(self) -> Iterator[tuple[int, list[Rejected]]]:
        for number in sorted({page for page, _ in self.rejected}):
            yield number, [bad for page, bad in self.rejected if page == number]


def once_each(rows: Iterable[Row]) -> list[Row]:
    """Each record once, in the order of their keys."""
    listed = list(rows)
    latest = {row[0].key: row for row in listed}
    if len(latest) < len(listed):
        latest = {}
        for row in listed:
            before = latest.get(row[0].key)
            if before is None or not _newer(before[0], row[0]):
                latest[row[0].key] = row
    return [latest[key] for key in sorted(latest)]


def _newer(one: Record, other: Record) -> bool:
    return one.version is not None and other.version is not None and one.version > other.version
