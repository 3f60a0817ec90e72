"""How does the history of runs stay bounded? By days: tomorrow's partitions are made ahead, old ones are dropped whole.

A partition holds the ids of one day, since ids grow with time. Uneventful runs go after three days, the others after
ninety. What landed in a default partition, because no beat had run for a week, is deleted by its id when its time comes.

To make or drop one takes the whole table for a moment, and whoever waits for that keeps every run waiting that ends. So
each is a transaction of its own that waits for a second at most: behind a backup or a long query it is put off until the
next time, and there are days to spare.
Emits: partition_made, partition_dropped, partition_put_off.
"""

import re
from collections.abc import Callable
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
    """A table of daily partitions, and for how many days they are kept."""

    table: str
    days: int


KEPT = (Kept("run_history_eventful", 90), Kept("run_history_uneventful", 3))


def keep_partitions(database: Database) -> None:
    """Make the days ahead, drop the days behind."""
    today = _today(database)
    for kept in KEPT:
        existing = _existing(database, kept.table)
        makes = [partial(_make, kept.table, day) for day in missing_days(existing, today)]
        drops = [partial(_drop, kept.table, day) for day in expired_days(existing, today, kept.days)]
        for change in (*makes, *drops):
            if not _changed(database, kept, change):
                break  # whoever reads a table for long is in the way of all its changes
        _empty_default(database, kept.table, before=today - timedelta(days=kept.days))


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


def missing_days(existing: set[date], today: date) -> list[date]:
    """Today and the days ahead that have no partition yet."""
    wanted = [today + timedelta(days=n) for n in range(AHEAD + 1)]
    return [day for day in wanted if day not in existing]


def expired_days(existing: set[date], today: date, days: int) -> list[date]:
    """The days whose runs are no longer kept."""
    return sorted(day for day in existing if day < today - timedelta(days=days))


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


def _make(table: str, day: date, connection: psycopg.Connection[DictRow]) -> None:
    """A day that the default partition has rows of already stays there: Postgres would refuse to split them off."""
    lower, upper = first_id(day), first_id(day + timedelta(days=1))
    name, default = name_of(table, day), f"{table}_default"
    found = connection.execute(
        sql.SQL(
            "SELECT to_regclass({}) IS NOT NULL OR EXISTS (SELECT FROM {} WHERE id >= %s AND id < %s) AS stays"
        ).format(sql.Literal(name), sql.Identifier(default)),
        (lower, upper),
    ).fetchone()
    if found and found["stays"]:
        return
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(name), sql.Identifier(table), sql.Literal(str(lower)), sql.Literal(str(upper))
        )
    )
    log.info("partition_made", table=table, day=str(day))


def _drop(table: str, day: date, connection: psycopg.Connection[DictRow]) -> None:
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name_of(table, day))))
    log.info("partition_dropped", table=table, day=str(day))


def _empty_default(database: Database, table: str, *, before: date) -> None:
    with database.connection() as connection:
        default = sql.Identifier(f"{table}_default")
        connection.execute(sql.SQL("DELETE FROM {} WHERE id < %s").format(default), (first_id(before),))
