"""How does the history of runs stay bounded? By days: tomorrow's partitions are made ahead, old ones are dropped whole.

A partition holds the ids of one day, since ids grow with time. Uneventful runs go after three days, the others after
ninety. What landed in a default partition, because no beat had run for a week, is deleted by its id when its time comes.
Emits: partition_made, partition_dropped.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import DictRow

from worker.db.database import Database

log = structlog.get_logger()

AHEAD = 7
LOCK = 7_433_110_912
"""Beats take turns; who comes second finds the work done."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A table of daily partitions, and for how many days they are kept."""

    table: str
    days: int


KEPT = (Kept("run_history_eventful", 90), Kept("run_history_uneventful", 3))


def keep_partitions(database: Database) -> None:
    """Make the days ahead, drop the days behind."""
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        today = _today(connection)
        for kept in KEPT:
            existing = _existing(connection, kept.table)
            for day in missing_days(existing, today):
                _make(connection, kept.table, day)
            for day in expired_days(existing, today, kept.days):
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name_of(kept.table, day))))
                log.info("partition_dropped", table=kept.table, day=str(day))
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE id < %s").format(sql.Identifier(f"{kept.table}_default")),
                (first_id(today - timedelta(days=kept.days)),),
            )


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


def _today(connection: psycopg.Connection[DictRow]) -> date:
    row = connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date AS today").fetchone()
    assert row is not None  # noqa: S101 - SELECT answers
    today: date = row["today"]
    return today


def _existing(connection: psycopg.Connection[DictRow], table: str) -> set[date]:
    rows = connection.execute(
        "SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = %s::regclass",
        (table,),
    ).fetchall()
    found = (re.fullmatch(rf"{table}_(\d{{4}})(\d\d)(\d\d)", row["name"]) for row in rows)
    return {date(int(m[1]), int(m[2]), int(m[3])) for m in found if m}


def _make(connection: psycopg.Connection[DictRow], table: str, day: date) -> None:
    """A day that the default partition has rows of already stays there: Postgres would refuse to split them off."""
    lower, upper = first_id(day), first_id(day + timedelta(days=1))
    default = sql.Identifier(f"{table}_default")
    taken = connection.execute(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE id >= %s AND id < %s) AS taken").format(default),
        (lower, upper),
    ).fetchone()
    if taken and taken["taken"]:
        return
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(name_of(table, day)),
            sql.Identifier(table),
            sql.Literal(str(lower)),
            sql.Literal(str(upper)),
        )
    )
    log.info("partition_made", table=table, day=str(day))
