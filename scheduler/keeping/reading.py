"""What does the copy hold? Read in pages by key: a stream of millions needs no memory, and no transaction stays open
while a slow reader reads, which would hold back the change feed of everybody.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.keeping.versions import record_as_of, records_as_of
from worker.db.database import Database
from worker.db.queries import load_queries

sql = load_queries("scheduler.keeping", "records.sql")

PAGE = 1000
AT_ONCE = 50
"""Records may be large: so many are asked for before it is seen whether they fill a page."""

Row = Mapping[str, Any]


def read_records(database: Database, stream: Row, *, deleted: bool, limit: int | None) -> Iterator[Row]:
    """The records as they are now, a page in memory at a time."""
    after, left = "", limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = _page(database, stream, after, deleted=deleted, limit=size)
        yield from page
        if len(page) < size:
            return
        after = page[-1]["key"]
        left = None if left is None else left - size


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records in the order of their keys, and whether there are others behind them."""

    records: Sequence[Row]
    more: bool


def page_of_records(
    database: Database,
    stream: Row,
    after: str,
    *,
    deleted: bool,
    limit: int,
    most_bytes: int,
    at: datetime | None = None,
) -> RecordPage:
    """The records behind a key, as they are or as they were `at` a time: at most `limit`, and few where they are large."""
    found: list[Row] = []
    size = 0
    while len(found) <= limit and size <= most_bytes:
        wanted = min(AT_ONCE, limit + 1 - len(found))
        if wanted <= 0:
            break
        if at is None:
            page: Sequence[Row] = _page(database, stream, after, deleted=deleted, limit=wanted)
        else:
            page = list(records_as_of(database, stream, at, deleted=deleted, limit=wanted, after=after))
        found += page
        size += sum(len(row["raw"]) for row in page)
        if len(page) < wanted:
            return RecordPage(found[:limit], len(found) > limit)
        after = page[-1]["key"]
    return RecordPage(found[:limit], more=True)


def one_record(database: Database, stream: Row, key: str, at: datetime | None = None) -> Row | None:
    """The record of this key, a tombstone among them; None: there is, or was, none."""
    if "\0" in key:
        return None
    if at is not None:
        return record_as_of(database, stream, key, at)
    return database.one(sql.record, {"bucket": stream["bucket"], "stream": stream["id"], "key": key})


def _page(database: Database, stream: Row, after: str, *, deleted: bool, limit: int) -> Sequence[Row]:
    params = {
        "bucket": stream["bucket"],
        "stream": stream["id"],
        "after": after,
        "deleted": deleted,
        "limit": limit,
    }
    return database.all(sql.records_of, params)
