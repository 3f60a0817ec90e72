"""Somebody wants the copy compared with its source, or wants to know how the last comparison ended."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import DictRow

from scheduler.access.audit import COMMAND_LINE, Actor
from scheduler.runs.syncs import Wanted, request_sync
from worker.db.database import Database
from worker.db.queries import load_queries

sql = load_queries("scheduler.proof", "verify.sql")


def request_verify(
    database: Database,
    connection: Mapping[str, Any],
    names: Sequence[str] | None,
    *,
    requests: int | None,
    repair: bool,
    cause: Literal["api", "cli"],
    request_id: str,
    actor: Actor = COMMAND_LINE,
) -> list[Wanted]:
    """Ask for a comparison of each named stream, or of all that are switched on. `connection` is its row."""
    scope: dict[str, Any] = {}
    if requests is not None:
        scope["requests"] = requests
    if repair:
        scope["repair"] = True
    return request_sync(
        database,
        connection,
        names,
        cause=cause,
        request_id=request_id,
        track="verify",
        scope=scope or None,
        actor=actor,
    )


def results(database: Database, runs: Sequence[UUID]) -> list[DictRow]:
    """What the comparisons of these runs found."""
    return database.all(sql.verifications_by_run, {"runs": list(runs)})


def verifications(
    database: Database,
    connection_id: int,
    *,
    stream_id: int | None = None,
    before: UUID | None = None,
    limit: int = 20,
) -> list[DictRow]:
    """Comparisons that ended, the latest first."""
    return database.all(
        sql.verifications_of,
        {"connection": connection_id, "stream": stream_id, "before": before, "limit": limit},
    )


def proofs(database: Database, connection_id: int, stream_id: int | None = None) -> list[DictRow]:
    """How each stream stood at its last comparison."""
    return database.all(sql.proofs, {"connection": connection_id, "stream": stream_id})


def drift_of(row: Mapping[str, Any]) -> int:
    """Differences that are left."""
    return max(0, int(row["missing"] + row["extra"] + row["different"] - row["repaired"]))
