"""The routes that ask for syncs. Coroutines, so that those who wait for an end hold no thread; every statement runs on one."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from scheduler.api.routes.work import shapes
from scheduler.api.routes.work.asking import StreamSync, SyncRequest, ask
from scheduler.api.shapes import run_json
from scheduler.api.waiting.endings import MOST_WAIT, Endings
from scheduler.api.who import SYNC, connection_of
from scheduler.runs.acts import ended
from scheduler.runs.lists import end_of, read_run
from worker.db.database import Database

ConnectionId = Annotated[str, Path(min_length=1, max_length=200)]
StreamName = Annotated[str, Path(min_length=1, max_length=200)]
Wait = Annotated[
    float, Query(ge=0, le=MOST_WAIT, description="So many seconds at most the answer waits for the end.")
]
Found = tuple[dict[str, Any], list[dict[str, Any]]]
_ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": shapes.Asked, "description": "With `wait`: all of it has ended"}
}


def syncs_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connections/{connection_id}", tags=["syncs"])
    endings = Endings(lambda runs: ended(database, runs))

    async def asked(found: Callable[[], Found], wait: float, response: Response) -> dict[str, Any]:
        connection, runs = await run_in_threadpool(found)
        alone = len(runs) == 1
        response.headers["Location"] = runs[0]["url"] if alone else f"/v1/runs?connection={connection['id']}"
        if wait > 0:
            ids: list[UUID] = [run["id"] for run in runs]
            if await endings.wait(ids, wait):
                response.status_code = 200
            now = await run_in_threadpool(_as_they_stand, database, ids)
            runs = [run | {"run": now.get(run["id"])} for run in runs]
        return {"connection": connection["name"], "runs": runs}

    @router.post("/syncs", status_code=202, dependencies=SYNC, response_model=shapes.Asked, responses=_ENDED)
    async def request_syncs(
        connection_id: ConnectionId,
        request: Request,
        response: Response,
        body: SyncRequest | None = None,
        wait: Wait = 0,
    ) -> dict[str, Any]:
        """Ask for a sync now. A run that is queued already is joined; the answer names the runs to watch, with their place.

        With `wait` the answer comes when they have ended (200), or when the time is over (202).
        """
        wishes = body or SyncRequest()

        def found() -> Found:
            connection = connection_of(request, database, connection_id)
            return connection, ask(database, connection, wishes.streams, wishes.scope, request)

        return await asked(found, wait, response)

    @router.post(
        "/streams/{stream}/syncs",
        status_code=202,
        dependencies=SYNC,
        response_model=shapes.Asked,
        responses=_ENDED,
    )
    async def request_stream(
        *,
        connection_id: ConnectionId,
        stream: StreamName,
        request: Request,
        response: Response,
        body: StreamSync | None = None,
        wait: Wait = 0,
    ) -> dict[str, Any]:
        """The same for one stream: what changed, or what the scope says: all, a range of dates, what fits filters, some ids."""
        scope = None if body is None else body.scope

        def found() -> Found:
            connection = connection_of(request, database, connection_id)
            return connection, ask(database, connection, [stream], scope, request)

        return await asked(found, wait, response)

    return router


def _as_they_stand(database: Database, runs: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """Each run, or the one that it was merged into, as it is now."""
    found = {run: read_run(database, run) for run in runs}
    return {run: run_json(end_of(database, row)) for run, row in found.items() if row is not None}
