"""The routes of runs: which there are, what became of them, stop one, try one again."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from scheduler.api.lists.filters import Shown
from scheduler.api.lists.paging import Cursor, moment_of, page_of, read_cursor, write_cursor
from scheduler.api.problems import REQUEST_ID
from scheduler.api.routes.work import shapes
from scheduler.api.routes.work.asking import place_json
from scheduler.api.routes.work.syncs import Wait
from scheduler.api.shapes import NO_NUL, run_json, sync_json
from scheduler.api.waiting.endings import Endings
from scheduler.api.who import READ, SYNC, actor_of, connection_of, principal_of
from scheduler.connections.resolve import find_stream
from scheduler.keeping.versions import RecordChange, changes_of_run, stream_of_run
from scheduler.runs.acts import cancel, ended, retry
from scheduler.runs.lists import end_of, list_runs, read_run
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.runs.estimate import estimate, places
from worker.runs.states import State

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]


def runs_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/runs", tags=["runs"])
    _add_lists(router, database)
    _add_acts(router, database)
    return router


def _add_lists(router: APIRouter, database: Database) -> None:
    endings = Endings(lambda runs: ended(database, runs))

    @router.get("", dependencies=READ, response_model=shapes.Runs)
    def runs(
        *,
        request: Request,
        view: Shown,
        connection: Annotated[Name | None, Query()] = None,
        stream: Annotated[Name | None, Query(description="Needs `connection`.")] = None,
        state: Annotated[State | None, Query()] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Runs, open and ended, the newest first."""
        (before,) = read_cursor(cursor, UUID)
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
            limit=limit + 1,
            view=view,
        )
        return page_of("runs", rows, limit, by=lambda row: (row["id"],), shape=run_json)

    @router.get("/{run_id}", dependencies=READ, response_model=shapes.WholeRun)
    async def run(run_id: UUID, request: Request, wait: Wait = 0) -> dict[str, Any]:
        """One run with its steps. One that was merged points to the run that carries on its work.

        With `wait` the answer comes when it has ended, or when the time is over.
        """
        view = principal_of(request).view
        shown = await run_in_threadpool(_shown, database, run_id, view)
        if wait > 0 and shown["state"] in {State.QUEUED, State.RUNNING}:
            await endings.wait([run_id], wait)
            shown = await run_in_threadpool(_shown, database, run_id, view)
        return shown

    @router.get("/{run_id}/changes", dependencies=READ, response_model=shapes.RunChanges)
    def changes(
        run_id: UUID,
        request: Request,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> dict[str, Any]:
        """What one run changed, field by field, in the order of the keys."""
        after = _position(cursor)
        _shown(database, run_id, principal_of(request).view)
        stream = stream_of_run(database, run_id)
        if stream is None:
            raise NotFound("unknown_stream", "The stream of this run is gone, and its records with it.")
        found = changes_of_run(database, stream, run_id, limit=limit + 1, after=after)
        shown, more = found[:limit], len(found) > limit
        return {
            "run": run_id,
            "connection": stream["connection"],
            "stream": stream["name"],
            "versions": stream["versions_since"] is not None,
            "changes": [_change_json(change) for change in shown],
            "more": more,
            "next": write_cursor(shown[-1].key, shown[-1].superseded_at or "") if more else None,
        }


def _add_acts(router: APIRouter, database: Database) -> None:
    @router.post("/{run_id}/cancel", status_code=202, dependencies=SYNC, response_model=shapes.Cancelled)
    def cancel_it(run_id: UUID, request: Request) -> dict[str, Any]:
        """Stop an open run: a queued one at once, a running one at its next page. What was committed stays."""
        outcome = cancel(database, run_id, actor_of(request), principal_of(request).view)
        return {"id": run_id, "outcome": outcome}

    @router.post("/{run_id}/retry", status_code=202, dependencies=SYNC, response_model=shapes.Retried)
    def retry_it(run_id: UUID, request: Request, response: Response) -> dict[str, Any]:
        """Have what a run didn't do done once more; one that waits for its next attempt is tried now."""
        wanted = retry(
            database,
            run_id,
            actor_of(request),
            principal_of(request).view,
            request_id=getattr(request.state, REQUEST_ID),
        )
        response.headers["Location"] = f"/v1/runs/{wanted.id}"
        return sync_json(wanted)


def _shown(database: Database, run_id: UUID, view: Any) -> dict[str, Any]:
    row = read_run(database, run_id, view)
    if row is None:
        raise NotFound("unknown_run", "There is no run with this id.")
    shown = run_json(row, end=end_of(database, row) if row["merged_into"] else None)
    if row["state"] == State.QUEUED and (place := places(database, [run_id]).get(run_id)) is not None:
        shown |= place_json(estimate(place))
    return shown


def _position(cursor: str | None) -> tuple[str, datetime | None]:
    """Where the page before ended: the last key, and when what the run made of it was changed again."""
    key, until = read_cursor(cursor, str, str)
    return key or "", moment_of(until) if until else None


def _change_json(change: RecordChange) -> dict[str, Any]:
    return {
        "key": change.key,
        "kind": change.kind,
        "changed_since": change.superseded,
        "before": change.before,
        "after": change.after,
        "fields": [
            {"path": field.path, "before": field.before, "after": field.after} for field in change.fields
        ],
    }
