"""The routes of histories: how far they are, stop them, let them go on."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.problems import REQUEST_ID
from scheduler.api.routes.work import shapes
from scheduler.api.who import READ, SYNC, actor_of, connection_of
from scheduler.connections.systems import known_systems
from scheduler.runs.history import histories, pause_histories, resume_histories
from scheduler.runs.waits import allowances
from worker.config import load_settings
from worker.db.database import Database

ConnectionId = Annotated[str, Path(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Action(BaseModel):
    """Of all streams, or of one."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["pause", "resume"]
    stream: Name | None = None


def history_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")
    place = "/connections/{connection_id}/history"

    @router.get(place, dependencies=READ, response_model=shapes.Histories)
    def show(
        connection_id: ConnectionId, request: Request, stream: Annotated[Name | None, Query()] = None
    ) -> dict[str, Any]:
        """How far each stream's history is, and what is left: records, requests, seconds. `null`: nobody can say."""
        connection = connection_of(request, database, connection_id)
        with allowances(database, load_settings(), known_systems(), connection) as wait:
            found = histories(database, connection, wait, stream)
        return {"connection": connection["name"], "histories": [each.as_json() for each in found]}

    @router.post(place, dependencies=SYNC, response_model=shapes.HistoryStreams)
    def act(connection_id: ConnectionId, body: Action, request: Request) -> dict[str, Any]:
        """Stop at the next page, or go on; the streams that do."""
        connection = connection_of(request, database, connection_id)
        if body.action == "pause":
            return {"streams": pause_histories(database, connection, body.stream, actor=actor_of(request))}
        resumed = resume_histories(
            database,
            connection,
            body.stream,
            cause="api",
            request_id=getattr(request.state, REQUEST_ID),
            actor=actor_of(request),
        )
        return {"streams": resumed}

    return router
