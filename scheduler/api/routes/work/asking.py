"""What may be asked for in a sync, and what asking for it leads to."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.problems import REQUEST_ID
from scheduler.api.shapes import NO_NUL, sync_json
from scheduler.api.who import actor_of
from scheduler.connections.resolve import find_stream
from scheduler.connections.systems import known_systems, source_of
from scheduler.runs.resync import MOST_IDS, Scope, check_scope, forecast_of, request_resync, scope_of
from scheduler.runs.syncs import Wanted, request_sync
from scheduler.runs.waits import allowances, waits_of
from worker.config import load_settings
from worker.db.database import Database
from worker.errors import InvalidInput

Name = Annotated[str, Field(min_length=1, max_length=200)]
Value = Annotated[str, Field(max_length=1000, pattern=NO_NUL)]


class SyncScope(BaseModel):
    """What of one stream is to be read again: exactly one of all, a range of dates, filters or ids."""

    model_config = ConfigDict(extra="forbid")

    all: bool = False
    since: Annotated[str, Field(max_length=40)] | None = None
    """2026-03-01, 2026-03-01T08:00:00Z, or 30d for so long ago."""
    until: Annotated[str, Field(max_length=40)] | None = None
    filters: dict[Name, Value] | None = None
    ids: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=MOST_IDS)] | None = None

    def read(self) -> Scope:
        """The scope that it means."""
        return scope_of(
            since=self.since,
            until=self.until,
            filters=self.filters,
            ids=self.ids,
            everything=self.all,
            now=datetime.now(UTC),
        )


class SyncRequest(BaseModel):
    """Which streams? Left out: all that are switched on. With a scope: what of one stream is read again."""

    model_config = ConfigDict(extra="forbid")

    streams: Annotated[list[Name], Field(min_length=1, max_length=500)] | None = None
    scope: SyncScope | None = None


class StreamSync(BaseModel):
    """Without a scope: what changed since the last run."""

    model_config = ConfigDict(extra="forbid")

    scope: SyncScope | None = None


def ask(
    database: Database,
    connection: Mapping[str, Any],
    streams: Sequence[str] | None,
    scope: SyncScope | None,
    request: Request,
) -> list[dict[str, Any]]:
    """The runs that do it, as they are told: queued before, or new, with their place and what they take."""
    if scope is not None:
        return [_ask_again(database, connection, streams, scope, request)]
    wanted = request_sync(
        database,
        connection,
        streams,
        cause="api",
        request_id=getattr(request.state, REQUEST_ID),
        actor=actor_of(request),
    )
    return _placed(database, connection, wanted)


def _ask_again(
    database: Database,
    connection: Mapping[str, Any],
    streams: Sequence[str] | None,
    asked: SyncScope,
    request: Request,
) -> dict[str, Any]:
    """Have some of one stream read again; what that takes is told as far as anybody knows."""
    if streams is None or len(streams) != 1:
        raise InvalidInput("bad_scope", "A scope is of one stream: name it.", place="streams")
    row = find_stream(database, connection, streams[0])
    scope, registry = asked.read(), known_systems()
    stream = source_of(registry, connection).stream(row["name"])
    check_scope(stream, scope)
    with allowances(database, load_settings(), registry, connection) as wait:
        expected = forecast_of(database, row, stream, scope, wait)
    wanted = request_resync(
        database,
        connection,
        row,
        stream,
        scope,
        cause="api",
        request_id=getattr(request.state, REQUEST_ID),
        actor=actor_of(request),
    )
    forecast = {"records": expected.records, "requests": expected.requests, "seconds": expected.seconds}
    [told] = _placed(database, connection, [wanted])
    return told | {"forecast": forecast}


def _placed(
    database: Database, connection: Mapping[str, Any], wanted: Sequence[Wanted]
) -> list[dict[str, Any]]:
    """A run that isn't queued any more has begun."""
    waits = waits_of(database, load_settings(), known_systems(), connection, [run.id for run in wanted])
    return [sync_json(run) | place_json(waits.get(run.id)) for run in wanted]


def place_json(found: Any) -> dict[str, Any]:
    """Where a run stands, as `waits_of` says; None: it waits no longer."""
    return {"ahead": found.ahead if found else 0, "begins_in": found.seconds if found else 0.0}
