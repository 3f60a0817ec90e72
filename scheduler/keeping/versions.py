"""What did the copy hold then, and what did a run change? Told from the versions that a stream keeps, as far as they reach."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from scheduler.keeping.diff import FieldChange, field_changes
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import InvalidInput

sql = load_queries("scheduler.keeping", "versions.sql")

PAGE = 1000


def records_as_of(
    database: Database,
    stream: Mapping[str, Any],
    at: datetime,
    *,
    deleted: bool,
    limit: int | None,
    after: str = "",
) -> Iterator[DictRow]:
    """The records as they were at a time, a page in memory at once. Raises `InvalidInput` where that can't be told."""
    check_known(database, stream, at)
    return _pages(database, stream, at, deleted=deleted, limit=limit, after=after)


def record_as_of(database: Database, stream: Mapping[str, Any], key: str, at: datetime) -> DictRow | None:
    """One of them, a tombstone too; None: there was none."""
    check_known(database, stream, at)
    params = {"bucket": stream["bucket"], "stream": stream["id"], "key": key, "at": at}
    return database.one(sql.record_as_of, params)


def _pages(
    database: Database,
    stream: Mapping[str, Any],
    at: datetime,
    *,
    deleted: bool,
    limit: int | None,
    after: str,
) -> Iterator[DictRow]:
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = database.all(
            sql.records_as_of,
            {
                "bucket": stream["bucket"], "stream": stream["id"], "after": after, "at": at, "deleted": deleted,
                "limit": size,
            },
        )  # fmt: skip
        yield from page
        if len(page) < size:
            return
        after = page[-1]["key"]
        left = None if left is None else left - size


def known_since(database: Database, stream: Mapping[str, Any]) -> datetime | None:
    """Since when it can be told what the copy held; None: no versions are kept, or a run is at work that keeps none."""
    row = database.one(sql.versions_known, {"stream": stream["id"]})
    if row is None or row["versions_since"] is None or row["blind_now"]:
        return None
    since: datetime = max(
        row["versions_since"],
        row["blind_until"] or row["versions_since"],
        row["now"] - timedelta(seconds=row["keep"]),
    )
    return since


def check_known(database: Database, stream: Mapping[str, Any], at: datetime) -> None:
    """Raise `InvalidInput` for a time of which the copy can't tell."""
    row = database.one(sql.versions_known, {"stream": stream["id"]})
    if row is None or row["versions_since"] is None:
        raise InvalidInput(
            "no_versions",
            f"No versions are kept of {stream['name']}, so nobody can tell what it held.",
            hint="Set keep_versions: 90d in the connections file; it is told from then on.",
        )
    since = known_since(database, stream)
    if since is None:
        raise InvalidInput(
            "versions_begin_later",
            f"A run of {stream['name']} is at work that began before its versions were kept.",
            hint="Ask again when it has ended.",
        )
    if at < since:
        raise InvalidInput(
            "beyond_versions",
            f"What {stream['name']} held can be told since {since:%Y-%m-%d %H:%M:%S} UTC, and not before.",
        )
    if at > row["now"]:
        raise InvalidInput("in_the_future", "That time is yet to come.")


@dataclass(frozen=True, slots=True)
class RecordChange:
    """What one run made of one record."""

    key: str
    kind: str
    before: str | None
    """The record as JSON text; None: there was none, or nobody kept it."""
    after: str
    fields: Sequence[FieldChange]
    superseded_at: datetime | None
    """When it was changed again; None: it is so still."""

    @property
    def superseded(self) -> bool:
        return self.superseded_at is not None


def changes_of_run(
    database: Database,
    stream: Mapping[str, Any],
    run: UUID,
    *,
    limit: int,
    after: tuple[str, datetime | None] = ("", None),
) -> list[RecordChange]:
    """What a run changed, in the order of the keys. Without versions: the records whose last change it was.

    `after` are the key and `superseded_at` of the last one of the page before. Where versions are kept, what is changed
    again between two pages is told in one of them all the same.
    """
    key, until = after
    rows = database.all(
        sql.changes_of_run,
        {
            "bucket": stream["bucket"], "stream": stream["id"], "run": run, "after": key,
            "until": until or "infinity", "limit": limit,
        },
    )  # fmt: skip
    return [_change(row) for row in rows]


def _change(row: DictRow) -> RecordChange:
    before = None if row["was_deleted"] else row["before"]
    known = row["before"] is not None or row["change_kind"] == "created"
    fields = field_changes(before, row["after"]) if known and row["change_kind"] != "deleted" else []
    return RecordChange(row["key"], row["change_kind"], before, row["after"], fields, row["superseded_at"])


def keys_of_run(database: Database, stream: Mapping[str, Any], run: UUID, *, limit: int) -> list[str]:
    """The records that a run changed, as far as the copy still knows."""
    rows = database.all(
        sql.keys_of_run, {"bucket": stream["bucket"], "stream": stream["id"], "run": run, "limit": limit}
    )
    return [row["key"] for row in rows]


def stream_of_run(database: Database, run: UUID) -> DictRow | None:
    """The stream of a run, as long as there is one."""
    return database.one(sql.stream_of_run, {"run": run})
