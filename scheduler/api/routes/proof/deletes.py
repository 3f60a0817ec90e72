"""The routes of deletes: who is suspected, what is held, and the decision about it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.lists.filters import Shown
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.problems import REQUEST_ID
from scheduler.api.routes.proof import shapes
from scheduler.api.who import ADMIN, READ, actor_of, connection_of
from scheduler.connections.resolve import find_stream
from scheduler.proof.deletes import accept, deletes_of, held_deletes, reject, suspects_of
from worker.db.database import Database
from worker.parsing.sent_json import read_sent

Name = Annotated[str, Path(min_length=1, max_length=200)]


class Decision(BaseModel):
    """Accept or reject what is held. `number` is that of the fuse that was looked at."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["accept", "reject"]
    number: Annotated[int, Field(ge=1, lt=2**63)] | None = None


def deletes_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")
    place = "/connections/{connection_id}/streams/{stream}/deletes"

    @router.get("/deletes", dependencies=READ, response_model=shapes.HeldPage)
    def held(
        request: Request,
        view: Shown,
        connection: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Streams whose deletes are held until somebody decides, in the order in which they were made."""
        (last,) = read_cursor(cursor, int)
        found = connection_of(request, database, connection) if connection else None
        rows = held_deletes(
            database, found["id"] if found else None, after=last or 0, limit=limit + 1, view=view
        )
        return page_of("deletes", rows, limit, by=lambda row: (row["stream_id"],))

    @router.get(place, dependencies=READ, response_model=shapes.Deletes)
    def show(
        connection_id: Name,
        stream: Name,
        request: Request,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=0, le=1000)] = 20,
    ) -> dict[str, Any]:
        """How it stands with a stream's deletes, with those that are missing, page by page."""
        free, key = read_cursor(cursor, int, str)
        connection = connection_of(request, database, connection_id)
        row = find_stream(database, connection, stream)
        found = deletes_of(database, row)
        suspects = suspects_of(database, row, limit=limit + 1, after=(bool(free), key or "")) if limit else []
        page = page_of(
            "examples",
            suspects,
            limit,
            by=lambda each: (int(not each["held"]), each["key"]),
            shape=lambda each: {**each, "raw": each["raw"] and read_sent(each["raw"])},
        )
        return {"connection": connection["name"], **found, **page}

    @router.post(
        place,
        dependencies=ADMIN,
        response_model=shapes.Forgotten | shapes.DeletesAccepted,
        responses={202: {"model": shapes.DeletesAccepted, "description": "A run deletes them"}},
    )
    def decide(
        connection_id: Name, stream: Name, body: Decision, request: Request, response: Response
    ) -> dict[str, Any]:
        """Delete what is held (202: a run does it), or forget it."""
        connection = connection_of(request, database, connection_id)
        row = find_stream(database, connection, stream)
        if body.decision == "reject":
            return {
                "forgotten": reject(database, connection, row, number=body.number, actor=actor_of(request))
            }
        done = accept(
            database,
            connection,
            row,
            cause="api",
            request_id=getattr(request.state, REQUEST_ID),
            number=body.number,
            actor=actor_of(request),
        )
        response.status_code = 202
        response.headers["Location"] = f"/v1/runs/{done.run}"
        return {"run": done.run, "count": done.count, "url": f"/v1/runs/{done.run}"}

    return router
