"""What is written in one commit? Some consecutive pages, each record once, in the order of the keys.

In one order for all, so that two runs on one stream can't wait for each other in a circle. Pages that shift may name a
record twice: its greatest version stays, and where that can't tell, what was asked for last.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg

from worker.connectors.contract import Gone, Page, Record, Rejected
from worker.engine.loading.rows import PACKED_FROM, Row, pack_time


@dataclass(frozen=True, slots=True)
class Batch:
    """Pages on their way into the copy, or what is left of them."""

    rows: Sequence[Row]
    rejected: Sequence[tuple[int, Rejected]]
    """With the page of the run that it came on."""
    pages: int
    first: int
    """The number of its first page among the run's."""
    sources: Sequence[Page]
    size: int
    """Bytes of the records."""
    read: int
    total: int | None
    gone: Sequence[tuple[Gone, bytes]] = ()
    """Deletes that came without their record, with the time at which their page was asked for."""

    @classmethod
    def of(cls, pages: Sequence[tuple[Page, bytes]], *, first: int) -> "Batch":
        """Pages with the times at which they were asked for, packed."""
        rows = once_each((record, at) for page, at in pages for record in page.records)
        rejected = [(number, bad) for number, (page, _) in enumerate(pages, first) for bad in page.rejected]
        totals = [page.in_all for page, _ in pages if page.in_all is not None]
        return cls(
            rows=rows,
            rejected=rejected,
            pages=len(pages),
            first=first,
            sources=[page for page, _ in pages],
            size=sum([len(record.raw) for record, _ in rows]),
            read=len(rows) + len(rejected) + sum(len(page.gone) for page, _ in pages),
            total=totals[-1] if totals else None,
            gone=_once_gone((gone, _went_at(gone, at)) for page, at in pages for gone in page.gone),
        )

    def without(self, refused: set[int], refusal: psycopg.Error) -> "Batch":
        """The same without what Postgres refuses; each refused record is set aside."""
        words = str(refusal).split("\n")[0]
        aside = [
            (self._page_of(record), Rejected(record.raw, "refused_by_postgres", words, record.key))
            for place, (record, _) in enumerate(self.rows)
            if place in refused
        ]
        left = [row for place, row in enumerate(self.rows) if place not in refused]
        return replace(self, rows=left, rejected=[*self.rejected, *aside])

    def _page_of(self, record: Record) -> int:
        """Searched only for what Postgres refuses: a number beside each record would cost every page."""
        return next(
            number
            for number, page in enumerate(self.sources, self.first)
            if any(each is record for each in page.records)
        )

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
            if before is None or not _newer(before, row):
                latest[row[0].key] = row
    return [latest[key] for key in sorted(latest)]


def _went_at(gone: Gone, asked_at: bytes) -> bytes:
    """When it was gone for certain: what was seen between then and the answer may have come back."""
    return asked_at if gone.at is None else min(asked_at, pack_time(max(gone.at, PACKED_FROM)))


def _once_gone(listed: Iterable[tuple[Gone, bytes]]) -> Sequence[tuple[Gone, bytes]]:
    """Each once, as it was last said."""
    return list({gone.key: (gone, at) for gone, at in listed}.values())


def _newer(one: Row, other: Row) -> bool:
    """As the copy itself would judge them: a page that was asked for again may be younger than the one after it."""
    (record, asked_at), (another, asked_then) = one, other
    if record.version is not None and another.version is not None and record.version != another.version:
        return record.version > another.version
    return asked_at > asked_then  # packed times compare as what they stand for, from 2000 on
