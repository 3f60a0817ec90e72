"""The one door: beat, API, webhook and command line all come by a run through here.

Nothing is published here. The caller commits first and publishes then, and should it die between the two, beat finds
the row: a message is a wake-up call, the row is the intent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.db.queries import sql
from worker.runs.states import Lane, queue_for


@dataclass(frozen=True, slots=True)
class Requested:
    """The run that will do what was asked for."""

    id: UUID
    queue: str
    created: bool
    """False: a queued run was there already and does this, too."""
    ready: bool
    """False: it waits for a limit first; publishing it now would wake nobody."""


def request_run(
    connection: psycopg.Connection[DictRow],
    *,
    stream_id: int,
    system: str,
    lane: Lane,
    cause: str,
    request_id: str,
    track: str = "live",
    scope: Mapping[str, Any] | None = None,
) -> Requested:
    """Record that a run is wanted, in the caller's transaction; a queued run for the same is joined."""
    row = connection.execute(
        sql.request_run,
        {
            "stream": stream_id,
            "queue": queue_for(system, lane, track),
            "track": track,
            "scope": Jsonb(dict(scope or {})),
            "scope_hash": json.dumps(scope, sort_keys=True) if scope else "",
            "lane": int(lane),
            "cause": cause,
            "request_id": request_id,
        },
    ).fetchone()
    if row is None:
        raise LookupError(f"stream {stream_id} is gone")
    return Requested(**row)


def request_due(connection: psycopg.Connection[DictRow], streams: Sequence[tuple[int, str]]) -> int:
    """The same for a batch of (stream id, system) whose time has come; how many runs are new."""
    return connection.execute(
        sql.request_due_runs,
        {
            "streams": [stream for stream, _ in streams],
            "queues": [queue_for(system, Lane.SCHEDULED, "live") for _, system in streams],
        },
    ).rowcount
