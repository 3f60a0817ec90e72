"""Which streams are due, and what becomes of them? One statement a batch, on the database's clock.

Any number of beats do this at once: the rows that one holds are passed over by the others, and an open run is asked for
once however many ask. After an outage a stream owes one run, not a backlog. A run whose queue has room is published right
after the commit; what is left waits for its turn in `waking`. Emits: schedule_unreadable.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg.rows import DictRow

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.waking import LEAST_OUTSTANDING, SLOTS_MULTIPLE
from scheduler.beat.due import next_due, place
from worker.db.database import Database
from worker.db.queries import sql, with_constants
from worker.runs.states import Lane, queue_for
from worker.runs.wakeups.publish import publish

log = structlog.get_logger()

BATCH = 500
QUEUE = queue_for("*", Lane.SCHEDULED, "live")
"""The statement puts a stream's system where the star is."""
DISPATCH = with_constants(sql.dispatch_due, batch=BATCH, least=LEAST_OUTSTANDING, multiple=SLOTS_MULTIPLE)
FALLBACK = timedelta(minutes=15)
"""The interval of a stream whose schedule can't be read: it is synced all the same, and stops no other."""


def dispatch_due(database: Database, pacing: Pacing) -> int:
    """Ask for a run of each stream whose time has come, and move its time on; how many streams there were.

    The database reckons the next point of a plain interval; the others come back, and are asked for with a point of ours.
    """
    rows = _dispatch(database, pacing, _Reckoned())
    if left := [row for row in rows if not row["moved"]]:
        rows = [row for row in rows if row["moved"]]
        rows += [row for row in _dispatch(database, pacing, _reckon(left)) if row["moved"]]
    publish((row["run_id"], row["queue"]) for row in rows if row["published"])
    return len(rows)


@dataclass(frozen=True, slots=True)
class _Reckoned:
    """Next points that the database can't tell, each with the schedule that it holds for."""

    streams: list[int] = field(default_factory=list)
    schedules: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)


def _dispatch(database: Database, pacing: Pacing, reckoned: _Reckoned) -> list[DictRow]:
    return database.all(
        DISPATCH,
        {
            "streams": reckoned.streams,
            "schedules": reckoned.schedules,
            "places": reckoned.places,
            "times": reckoned.times,
            "queue": QUEUE,
            "paced": pacing.queues,
            "most": pacing.most,
        },
    )


def _reckon(rows: Sequence[DictRow]) -> _Reckoned:
    reckoned = _Reckoned()
    for row in rows:
        reckoned.streams.append(row["stream_id"])
        reckoned.schedules.append(row["schedule"])
        reckoned.places.append(place(row["stream_id"]))
        reckoned.times.append(_next(json.loads(row["schedule"]), row["now"], row["stream_id"]))
    return reckoned


def _next(schedule: Mapping[str, Any], now: datetime, stream_id: int) -> datetime:
    try:
        due = next_due(schedule, now, stream_id=stream_id)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        due = now
    if due > now:
        return due
    log.error("schedule_unreadable", stream_id=stream_id, schedule=schedule)
    return now + FALLBACK
