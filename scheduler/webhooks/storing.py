"""How do webhooks come into the table of events? Many in one commit, each once, their runs asked for in the same.

A commit waits for nobody who holds a run's row: where that would take more than a moment, the events are stored without
their runs, and whoever looks after the commit, or beat, asks for those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from worker.connectors.contract import Hint
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import Transient
from worker.runs.wakeups.publish import Wakeup

sql = load_queries("scheduler.webhooks", "storing.sql")

PATIENCE = 0.25
"""Seconds for which a commit waits for somebody's lock, on a connection whose locks time out after so many."""


@dataclass(frozen=True, slots=True)
class Event:
    """One hint on its way into the table."""

    connection_id: int
    stream_id: int
    hint: Hint
    request_id: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of them: the keys that are new, and the runs to wake."""

    fresh: frozenset[tuple[int, str]]
    wakeups: tuple[Wakeup, ...]
    wanted: frozenset[int] = frozenset()
    """Streams whose run of events was asked for in the same commit: whoever claims it sees them all."""


def store(hasty: Database, patient: Database, events: Sequence[Event]) -> Stored:
    """All of them in one commit, which is one round trip: where many come, each costs more than the work."""
    try:
        return _store(hasty, events, wanting=True)
    except Transient as exc:
        if not isinstance(exc.__cause__, psycopg.errors.LockNotAvailable):
            raise
        return _store(patient, events, wanting=False)


def _store(database: Database, events: Sequence[Event], *, wanting: bool) -> Stored:
    row = database.one(sql.store_events, _columns(events) | {"wanting": wanting})
    assert row is not None  # noqa: S101 - an aggregate has a row
    return Stored(
        frozenset((int(connection), str(key)) for connection, key in row["fresh"]),
        tuple((UUID(run), str(queue)) for run, queue in row["wakeups"]),
        frozenset(row["wanted"]),
    )


def _columns(events: Sequence[Event]) -> dict[str, object]:
    return {
        "connections": [event.connection_id for event in events],
        "streams": [event.stream_id for event in events],
        "kinds": [event.hint.kind for event in events],
        "keys": [event.hint.key for event in events],
        "types": [event.hint.type for event in events],
        "event_keys": [event.hint.event_key for event in events],
        "records": [event.hint.record for event in events],
        "said": [event.hint.said_at for event in events],
        "requests": [event.request_id for event in events],
    }


def want_forgotten(database: Database, streams: Sequence[int], request_id: str) -> list[Wakeup]:
    """Runs for streams of which something waits and no run is queued. After the commit of what waits."""
    rows: list[DictRow] = database.all(sql.want_forgotten, {"streams": streams, "request": request_id})
    return [(row["id"], row["queue"]) for row in rows]


def raise_queued(database: Database, streams: Sequence[int]) -> list[Wakeup]:
    """Runs of these streams that were queued in a less urgent lane than a webhook's, and may begin."""
    rows: list[DictRow] = database.all(sql.raise_queued, {"streams": streams})
    return [(row["id"], row["queue"]) for row in rows if row["ready"]]
