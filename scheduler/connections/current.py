"""What is there now: the rows that a plan compares with a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import DictRow

from worker.db.queries import load_queries

queries = load_queries("scheduler.connections", "queries.sql")

Rows = psycopg.Connection[DictRow]
"""A connection to Postgres that answers in dicts."""


@dataclass(frozen=True, slots=True)
class CurrentStream:
    id: int
    name: str
    bucket: int
    enabled: bool
    schedule: Mapping[str, Any]
    history_days: int | None
    next_run_at: datetime | None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CurrentConnection:
    """A connection's row with its streams. `applied` is what the file last set; None: no file ever did."""

    id: int
    file_id: str | None
    environment: str
    name: str
    system: str
    tenant: str | None
    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    budget: str | None
    applied: Mapping[str, Any] | None
    paused: bool
    streams: Sequence[CurrentStream]
    network: Mapping[str, str] = field(default_factory=dict)
    manifest_version: str | None = None
    """The version of its system's manifest that it is pinned to."""
    records: int = 0
    """How many records its deletion would take along; counted only where a deletion is planned."""


def read_current(connection: Rows, *, lock: bool = False) -> list[CurrentConnection]:
    """All connections, oldest first; with `lock`, nobody else changes, pauses or deletes them meanwhile."""
    rows = connection.execute(queries.lock_connections if lock else queries.read_connections).fetchall()
    streams: dict[int, list[CurrentStream]] = {}
    for row in connection.execute(queries.read_streams).fetchall():
        streams.setdefault(row.pop("connection_id"), []).append(CurrentStream(**row))
    return [CurrentConnection(**row, streams=streams.get(row["id"], ())) for row in rows]
