"""The one door: API, webhook and command line come by a run through here; beat has `dispatch_due`, for batches.

Nothing is published here. The caller commits first and publishes then, and should it die between the two, beat finds
the row: a message is a wake-up call, the row is the intent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import xxhash
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.db.queries import sql
from worker.errors import NotFound
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
            "scope_hash": _hash(scope) if scope else "",
            "lane": int(lane),
            "cause": cause,
            "request_id": request_id,
        },
    ).fetchone()
    if row is None:
        raise NotFound("unknown_stream", f"Stream {stream_id} isn't there any more.")
    return Requested(**row)


def _hash(scope: Mapping[str, Any]) -> str:
    """Short, since an index holds it, and a scope may name thousands of records."""
    return xxhash.xxh3_128_hexdigest(json.dumps(scope, sort_keys=True))
