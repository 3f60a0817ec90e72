"""The routes of work: ask for a sync, look at runs. Plain functions: FastAPI runs them on threads, and each asks Postgres."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.problems import REQUEST_ID
from scheduler.api.shapes import run_json, sync_json
from scheduler.lists import end_of, find_connection, find_stream, list_runs, read_run
from scheduler.syncs import request_sync
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.runs.states import State

Name = Annotated[str, Field(min_length=1, max_length=200)]
ConnectionId = Annotated[str, Path(min_length=1, max_length=200)]


class SyncRequest(BaseModel):
    """Which streams? Left out: all that are switched on."""

    model_config = ConfigDict(extra="forbid")

    streams: Annotated[list[Name], Field(min_length=1, max_length=500)] | None = None


def work_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")

    @router.post("/connections/{connection_id}/syncs", status_code=202)
    def request_syncs(
        connection_id: ConnectionId, request: Request, response: Response, body: SyncRequest | None = None
    ) -> dict[str, Any]:
        """Ask for a sync now. A run that is queued already is joined; the answer names the runs to watch."""
        connection = find_connection(database, connection_id)
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

    @router.get("/runs")
    def runs(
        connection: Annotated[Name | None, Query()] = None,
        stream: Annotated[Name | None, Query()] = None,
        state: Annotated[State | None, Query()] = None,
        before: Annotated[UUID | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Runs, the newest first. `next` is what to give as `before` for the page that follows."""
        found, stream_id = None, None
        if connection is not None:
            found = find_connection(database, connection)
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
        )
        return {
            "runs": [run_json(row) for row in rows],
            "next": str(rows[-1]["id"]) if len(rows) == limit else None,
        }

    @router.get("/runs/{run_id}")
    def run(run_id: UUID) -> dict[str, Any]:
        """One run, open or ended. One that was merged points to the run that carries on its work."""
        row = read_run(database, run_id)
        if row is None:
            raise NotFound("unknown_run", "There is no run with this id.")
        return run_json(row, end=end_of(database, row) if row["merged_into"] else None)

    return router
