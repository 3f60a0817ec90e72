"""The routes of work: ask for a sync, look at runs. Plain functions: FastAPI runs them on threads, and each asks Postgres."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.filters import Shown
from scheduler.api.problems import REQUEST_ID
from scheduler.api.shapes import run_json, sync_json
from scheduler.api.who import READ, SYNC, connection_of, principal_of
from scheduler.connections.resolve import find_stream
from scheduler.connections.systems import known_systems, source_of
from scheduler.runs.lists import end_of, list_runs, read_run
from scheduler.runs.resync import Scope, check_scope, forecast_of, request_resync, scope_of
from scheduler.runs.syncs import request_sync
from scheduler.runs.waits import allowances
from worker.config import load_settings
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.runs.states import State

Name = Annotated[str, Field(min_length=1, max_length=200)]
ConnectionId = Annotated[str, Path(min_length=1, max_length=200)]


class SyncScope(BaseModel):
    """What of one stream is to be read again: exactly one of all, a range of dates, filters or ids."""

    model_config = ConfigDict(extra="forbid")

    all: bool = False
    since: Annotated[str, Field(max_length=40)] | None = None
    until: Annotated[str, Field(max_length=40)] | None = None
    filters: dict[Name, Annotated[str, Field(max_length=1000)]] | None = None
    ids: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=10_000)] | None = None

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


def _resync(
    database: Database, connection: dict[str, Any], body: SyncRequest, request: Request, response: Response
) -> dict[str, Any]:
    """Have some of one stream read again; the answer says what that takes, as far as anybody knows."""
    assert body.scope is not None  # noqa: S101 - the caller has looked
    if body.streams is None or len(body.streams) != 1:
        raise InvalidInput("bad_scope", "A scope is of one stream: name it.", place="streams")
    row = find_stream(database, connection, body.streams[0])
    scope, registry = body.scope.read(), known_systems()
    stream = source_of(registry, connection).stream(row["name"])
    check_scope(stream, scope)
    with allowances(database, load_settings(), registry, connection) as wait:
        expected = forecast_of(database, row, stream, scope, wait)
    request_id = getattr(request.state, REQUEST_ID)
    wanted = request_resync(database, connection, row, stream, scope, cause="api", request_id=request_id)
    response.headers["Location"] = f"/v1/runs/{wanted.id}"
    forecast = {"records": expected.records, "requests": expected.requests, "seconds": expected.seconds}
    return {"connection": connection["name"], "runs": [sync_json(wanted) | {"forecast": forecast}]}


def work_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")

    @router.post("/connections/{connection_id}/syncs", status_code=202, dependencies=SYNC)
    def request_syncs(
        connection_id: ConnectionId, request: Request, response: Response, body: SyncRequest | None = None
    ) -> dict[str, Any]:
        """Ask for a sync now. A run that is queued already is joined; the answer names the runs to watch."""
        connection = connection_of(request, database, connection_id)
        if body is not None and body.scope is not None:
            return _resync(database, connection, body, request, response)
        wanted = request_sync(
            database,
            connection,
            None if body is None else body.streams,
            cause="api",
            request_id=getattr(request.state, REQUEST_ID),
        )
        one = len(wanted) == 1
        response.headers["Location"] = (
            f"/v1/runs/{wanted[0].id}" if one else f"/v1/runs?connection={connection['id']}"
        )
        return {"connection": connection["name"], "runs": [sync_json(run) for run in wanted]}

    @router.get("/runs", dependencies=READ)
    def runs(
        *,
        request: Request,
        view: Shown,
        connection: Annotated[Name | None, Query()] = None,
        stream: Annotated[Name | None, Query()] = None,
        state: Annotated[State | None, Query()] = None,
        before: Annotated[UUID | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Runs, the newest first. `next` is what to give as `before` for the page that follows."""
        found, stream_id = None, None
        if connection is not None:
            found = connection_of(request, database, connection)
        if stream is not None:
            if found is None:
                raise InvalidInput(
                    "missing_connection", "A stream is named without its connection.", place="query.stream"
                )
            stream_id = find_stream(database, found, stream)["id"]
        rows = list_runs(
            database,
            connection_id=found["id"] if found else None,
            stream_id=stream_id,
            state=state,
            before=before,
            limit=limit,
            view=view,
        )
        return {
            "runs": [run_json(row) for row in rows],
            "next": str(rows[-1]["id"]) if len(rows) == limit else None,
        }

    @router.get("/runs/{run_id}", dependencies=READ)
    def run(run_id: UUID, request: Request) -> dict[str, Any]:
        """One run, open or ended. One that was merged points to the run that carries on its work."""
        row = read_run(database, run_id, principal_of(request).view)
        if row is None:
            raise NotFound("unknown_run", "There is no run with this id.")
        return run_json(row, end=end_of(database, row) if row["merged_into"] else None)

    return router
