"""Which streams are due, and what becomes of them? One transaction a batch, on the database's clock.

Any number of beats do this at once: the rows that one holds are passed over by the others, and an open run is asked for
once however many ask. After an outage a stream owes one run, not a backlog. Messages go out by themselves, in
`wake_waiting`, for whatever waits. Emits: schedule_unreadable.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow

from scheduler.beat.due import next_due
from worker.db.database import Database
from worker.db.queries import sql
from worker.runs.publish import Wakeup, empty_queues, publish
from worker.runs.request import request_due

log = structlog.get_logger()

BATCH = 500
PATIENCE = 30.0
"""Seconds after which a message that nobody followed is taken for lost, though its queue holds others."""
SETTLED = 2.0
"""Seconds after which it is taken for lost where its queue is empty."""
LEAST_OUTSTANDING = 64
SLOTS_MULTIPLE = 8
FALLBACK = timedelta(minutes=15)
"""The interval of a stream whose schedule can't be read: it is synced all the same, and stops no other."""


def dispatch_due(database: Database) -> int:
    """Ask for a run of each stream whose time has come, and move its time on; how many streams there were."""
    with database.transaction() as connection:
        due = connection.execute(sql.due_streams, {"batch": BATCH}).fetchall()
        if not due:
            return 0
        request_due(connection, [(row["id"], row["system"]) for row in due])
        _move_on(connection, due)
    return len(due)


def _move_on(connection: psycopg.Connection[DictRow], due: list[DictRow]) -> None:
    now = _now(connection)
    connection.execute(
        sql.move_due_streams,
        {
            "streams": [row["id"] for row in due],
            "times": [_next(row["schedule"], now, row["id"]) for row in due],
        },
    )


def _next(schedule: Mapping[str, Any], now: datetime, stream_id: int) -> datetime:
    try:
        due = next_due(schedule, now, stream_id=stream_id)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        due = now
    if due > now:
        return due
    log.error("schedule_unreadable", stream_id=stream_id, schedule=schedule)
    return now + FALLBACK


def _now(connection: psycopg.Connection[DictRow]) -> datetime:
    row = connection.execute("SELECT now() AS now").fetchone()
    assert row is not None  # noqa: S101 - SELECT answers
    now: datetime = row["now"]
    return now


def wake_waiting(database: Database) -> int:
    """Send messages for the runs whose turn it is; how many. The commit comes first: lost messages are sent again."""
    notice_lost(database)
    rows = database.all(
        sql.wakeable, {"patience": PATIENCE, "least": LEAST_OUTSTANDING, "multiple": SLOTS_MULTIPLE}
    )
    wakeups: list[Wakeup] = [(row["id"], row["queue"]) for row in rows]
    return publish(wakeups)


def notice_lost(database: Database) -> int:
    """Free those runs for a new message whose message can't be there any more; how many."""
    queues = database.all(sql.published_queues, {"settled": SETTLED})
    if not (empty := empty_queues(row["queue"] for row in queues)):
        return 0
    return database.run(sql.forget_lost_wakeups, {"settled": SETTLED, "queues": empty})


def seconds_to_next(database: Database) -> float | None:
    """How long until the next stream is due by the database's clock; None: nothing is scheduled."""
    row = database.one(sql.next_due)
    return row["seconds"] if row else None
