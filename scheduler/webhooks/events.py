"""Events of webhooks as people see them: what came, what became of it, what was not taken; and once more, please."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from scheduler.access.audit import Actor, note_act
from scheduler.connections.view import EVERYTHING, View
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import NotFound
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish

sql = load_queries("scheduler.webhooks", "events.sql")

MOST = 10_000
"""Events that one call has done again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many events are done again, and whether there may be more that were asked for."""

    events: int
    more: bool


def read_event(database: Database, event_id: UUID, *, view: View = EVERYTHING) -> DictRow:
    """One event, or `NotFound`."""
    row = database.one(sql.read_event, {"id": event_id, **view})
    if row is None:
        raise NotFound(
            "unknown_event", "There is no event with this id.", hint="Events are kept for some days only."
        )
    return row


def replay(
    database: Database,
    connection: Mapping[str, Any],
    actor: Actor,
    *,
    request_id: str,
    event_id: UUID | None = None,
    stream_id: int | None = None,
    state: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Replayed:
    """Have one event done again, or those of a connection that fit; their records are asked for as they are now."""
    asked = {
        "connection": connection["id"], "id": event_id, "stream": stream_id, "state": state, "since": since,
        "until": until, "most": MOST,
    }  # fmt: skip
    with database.transaction() as tx:
        rows = tx.execute(sql.replay_events, asked).fetchall()
        runs = [
            request_run(
                tx,
                stream_id=stream,
                system=connection["system"],
                lane=Lane.WEBHOOK,
                cause="webhook",
                request_id=request_id,
                track="events",
            )
            for stream in sorted({row["stream_id"] for row in rows})
        ]
        if rows:
            target = connection["name"] if event_id is None else f"{connection['name']}/{event_id}"
            note_act(tx, actor, "events.replay", target, about=connection, detail={"events": len(rows)})
    publish((run.id, run.queue) for run in runs if run.ready)
    return Replayed(len(rows), len(rows) == MOST)


def prune_event_keys(database: Database, days: int, batch: int) -> int:
    """Forget which events came; how many went."""
    return database.run(sql.prune_event_keys, {"days": days, "batch": batch})


def prune_refusals(database: Database, days: int, batch: int) -> int:
    """Forget what was not taken; how many went."""
    before = datetime.now(UTC) - timedelta(days=days)
    return database.run(
        sql.prune_refusals, {"before": UUID(int=int(before.timestamp() * 1000) << 80), "batch": batch}
    )
