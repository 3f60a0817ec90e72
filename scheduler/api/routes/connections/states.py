"""The routes that stop connections for a while and start them again: one, or all of a tenant or with labels."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.lists.filters import Environment
from scheduler.api.routes.connections import shapes
from scheduler.api.routes.connections.connections import ConnectionId
from scheduler.api.shapes import NO_NUL
from scheduler.api.who import ADMIN, actor_of, connection_of, principal_of
from scheduler.connections.pause import Paused, Resumed, pause, pause_each, resume, resume_each
from scheduler.connections.view import View, meant
from worker.db.database import Database
from worker.runs.wakeups.publish import publish

LISTED = 1000
"""So many are listed in an answer; the numbers are of all."""
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]


class Meant(BaseModel):
    """Which connections: of the tenant, with all of these labels. One of both is needed."""

    model_config = ConfigDict(extra="forbid")

    tenant: Text | None = None
    labels: Annotated[
        dict[Text, Annotated[str, Field(max_length=200, pattern=NO_NUL)]], Field(max_length=20)
    ] = {}
    environment: Environment | None = None


def states_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connections", tags=["connections"])
    _add_one(router, database)
    _add_many(router, database)
    return router


def _add_one(router: APIRouter, database: Database) -> None:
    @router.post("/{connection_id}/pause", dependencies=ADMIN, response_model=shapes.Paused)
    def pause_it(connection_id: ConnectionId, request: Request) -> dict[str, Any]:
        """Plan nothing more for it until it is resumed. What runs already ends its work."""
        found = connection_of(request, database, connection_id)
        done = pause(database, found["name"], found["environment"], actor=actor_of(request))
        return {"connection": done.name, "paused": True, "changed": done.changed, "running": done.running}

    @router.post("/{connection_id}/resume", dependencies=ADMIN, response_model=shapes.Paused)
    def resume_it(connection_id: ConnectionId, request: Request) -> dict[str, Any]:
        """Let it go on: each stream owes one run, however long the pause was."""
        found = connection_of(request, database, connection_id)
        done = resume(database, found["name"], found["environment"], actor=actor_of(request))
        publish(done.wakeups)
        return {"connection": done.name, "paused": False, "changed": done.changed}


def _add_many(router: APIRouter, database: Database) -> None:
    @router.post("/pause", dependencies=ADMIN, response_model=shapes.PausedMany)
    def pause_many(body: Meant, request: Request) -> dict[str, Any]:
        """Pause all that the token sees of a tenant or with labels. `GET /v1/connections` with the same lists them before."""
        done = list(pause_each(database, _view(body, request), actor=actor_of(request)))
        return _many(done, paused=True) | {"running": sum(each.running for each in done)}

    @router.post("/resume", dependencies=ADMIN, response_model=shapes.PausedMany)
    def resume_many(body: Meant, request: Request) -> dict[str, Any]:
        """Let all of them go on. One that was disconnected stays as it is, and is said to be `disconnected`."""
        done = []
        for each in resume_each(database, _view(body, request), actor=actor_of(request)):
            if each.wakeups:
                publish(each.wakeups)
            done.append(each)
        return _many(done, paused=False)


def _view(body: Meant, request: Request) -> View:
    who = principal_of(request).view
    return meant(who, tenant=body.tenant, labels=body.labels, environment=body.environment)


def _many(done: Sequence[Paused] | Sequence[Resumed], *, paused: bool) -> dict[str, Any]:
    return {
        "paused": paused,
        "matched": len(done),
        "changed": sum(each.changed for each in done),
        "connections": [
            {
                "id": each.connection_id,
                "connection": each.name,
                "changed": each.changed,
                "running": getattr(each, "running", 0),
                "disconnected": getattr(each, "disconnected", False),
            }
            for each in done[:LISTED]
        ],
    }
