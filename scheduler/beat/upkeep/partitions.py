"""How does what piles up with time stay bounded? By partitions: those to come are made ahead, old ones are dropped whole.

Of the history of runs a partition holds the ids of one day, since ids grow with time; of versions, what ended in one month.
What landed in a default partition, because no beat had run for a week, is deleted row by row when its time comes; of a
table whose rows nobody may delete, the default partition goes as a whole when the time of its last row has come.

To make or drop one takes the whole table for a moment, and whoever waits for that keeps every run waiting that ends. So
each is a transaction of its own that waits for a second at most: behind a backup or a long query it is put off until the
next time, and there are days to spare.
Emits: partition_made, partition_dropped, partition_put_off.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from uuid import UUID

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.errors import Transient

log = structlog.get_logger()

AHEAD = 7
LOCK = 7_433_110_912
"""Beats take turns; who comes second finds the work done."""
PATIENCE = "1s"


@dataclass(frozen=True, slots=True)
class Kept:
    """A partitioned table, and for how many days its rows are kept."""

    table: str
    days: int
    column: str = "id"
    """By which it is partitioned: a UUIDv7, or a time."""
    monthly: bool = False
    sealed: bool = False
    """Its rows are never changed, nor deleted but with their partition."""

    def first(self, day: date) -> date:
        """The first day of the partition that holds this one."""
        return day.replace(day=1) if self.monthly else day

    def after(self, first: date) -> date:
        """The first day of the next partition."""
        return self.first(first + timedelta(days=32 if self.monthly else 1))

    def bound(self, day: date) -> str:
        """Where a day begins in the column's terms."""
        return str(first_id(day)) if self.column == "id" else f"{day} 00:00:00+00"


RUN_HISTORY = (Kept("run_history_eventful", 90), Kept("run_history_uneventful", 3))


def keep_partitions(database: Database, tables: Sequence[Kept] = RUN_HISTORY) -> None:
    """Make the partitions ahead, drop those behind."""
    today = _today(database)
    for kept in tables:
        existing = _existing(database, kept.table)
        makes = [partial(_make, kept, first) for first in missing(kept, existing, today)]
        drops = [partial(_drop, kept.table, first) for first in expired(kept, existing, today)]
        for change in (*makes, *drops):
            if not _changed(database, kept, change):
                break  # whoever reads a table for long is in the way of all its changes
        before = today - timedelta(days=kept.days)
        if kept.sealed:
            _changed(database, kept, partial(_replace_default, kept, before))
        else:
            _empty_default(database, kept, before=before)


def _changed(database: Database, kept: Kept, change: Callable[[psycopg.Connection[DictRow]], None]) -> bool:
    try:
        with database.transaction() as connection:
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(PATIENCE)))
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            change(connection)
    except Transient as exc:
        if not isinstance(exc.__cause__, psycopg.errors.LockNotAvailable):
            raise
        log.info("partition_put_off", table=kept.table, error=str(exc))
        return False
    return True


def missing(kept: Kept, existing: set[date], today: date) -> list[date]:
    """The first days of the partitions of today and the days ahead that aren't there yet."""
    ahead = dict.fromkeys(kept.first(today + timedelta(days=n)) for n in range(AHEAD + 1))
    return [first for first in ahead if first not in existing]


def expired(kept: Kept, existing: set[date], today: date) -> list[date]:
    """The first days of the partitions of which no row is kept any more."""
    return sorted(first for first in existing if kept.after(first) <= today - timedelta(days=kept.days))


def first_id(day: date) -> UUID:
    """The smallest UUIDv7 of a day (UTC)."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def name_of(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _today(database: Database) -> date:
    row = database.one("SELECT (now() AT TIME ZONE 'UTC')::date AS today")
    assert row is not None  # noqa: S101 - SELECT answers
    today: date = row["today"]
    return today


def _existing(database: Database, table: str) -> set[date]:
    rows = database.all(
        "SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = %(table)s::regclass",
        {"table": table},
    )
    found = (re.fullmatch(rf"{table}_(\d{{4}})(\d\d)(\d\d)", row["name"]) for row in rows)
    return {date(int(m[1]), int(m[2]), int(m[3])) for m in found if m}


def _make(kept: Kept, first: date, connection: psycopg.Connection[DictRow]) -> None:
    """One that the default partition has rows of already stays there: Postgres would refuse to split them off."""
    lower, upper = kept.bound(first), kept.bound(kept.after(first))
    name, default = name_of(kept.table, first), f"{kept.table}_default"
    found = connection.execute(
        sql.SQL(
            "SELECT to_regclass({}) IS NOT NULL OR EXISTS (SELECT FROM {} WHERE {} >= {} AND {} < {}) AS stays"
        ).format(
            sql.Literal(name),
            sql.Identifier(default),
            sql.Identifier(kept.column),
            sql.Literal(lower),
            sql.Identifier(kept.column),
            sql.Literal(upper),
        )
    ).fetchone()
    if found and found["stays"]:
        return
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(name), sql.Identifier(kept.table), sql.Literal(lower), sql.Literal(upper)
        )
    )
    if kept.sealed:
        _seal(name, connection)
    log.info("partition_made", table=kept.table, day=str(first))


def _seal(name: str, connection: psycopg.Connection[DictRow]) -> None:
    """A trigger for TRUNCATE isn't handed on to partitions, as those for rows are."""
    connection.execute(
        sql.SQL(
            "CREATE TRIGGER audit_whole BEFORE TRUNCATE ON {}"
            " FOR EACH STATEMENT EXECUTE FUNCTION headrace_refuse_change()"
        ).format(sql.Identifier(name))
    )


def _replace_default(kept: Kept, before: date, connection: psycopg.Connection[DictRow]) -> None:
    """Drop the default partition for an empty one, where it holds rows, and none that are kept any more."""
    default, table = sql.Identifier(f"{kept.table}_default"), sql.Identifier(kept.table)
    found = connection.execute(
        sql.SQL("SELECT max({}::text) < {} AS over FROM {}").format(
            sql.Identifier(kept.column), sql.Literal(kept.bound(before)), default
        )
    ).fetchone()
    if not found or not found["over"]:
        return
    connection.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(table, default))
    connection.execute(sql.SQL("DROP TABLE {}").format(default))
    connection.execute(sql.SQL("CREATE TABLE {} PARTITION OF {} DEFAULT").format(default, table))
    _seal(f"{kept.table}_default", connection)
    log.info("partition_dropped", table=kept.table, day="default")


def _drop(table: str, day: date, connection: psycopg.Connection[DictRow]) -> None:
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name_of(table, day))))
    log.info("partition_dropped", table=table, day=str(day))


def _empty_default(database: Database, kept: Kept, *, before: date) -> None:
    with database.connection() as connection:
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE {} < {}").format(
                sql.Identifier(f"{kept.table}_default"),
                sql.Identifier(kept.column),
                sql.Literal(kept.bound(before)),
            )
        )
