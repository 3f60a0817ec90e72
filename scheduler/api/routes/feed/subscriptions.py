"""The routes of outbound events: who is told of what, from where on, and whether it arrives."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.shapes import NO_NUL, Moment
from scheduler.api.who import ADMIN, READ
from scheduler.feed.subscriptions import add_named, subscription_json, try_out
from worker.config import get_settings
from worker.db.database import Database
from worker.feed.reading import Kind
from worker.outbound.subscriptions import (
    find_subscription,
    pause_subscription,
    remove_subscription,
    replay_subscription,
    resume_subscription,
    subscriptions,
)

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Name = Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL)]


class NewSubscription(BaseModel):
    """Whom to tell of what. The secret is a reference that workers can open."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    url: Annotated[str, Field(min_length=1, max_length=2000)]
    secret: Annotated[str, Field(min_length=1, max_length=4096)]
    connection: Text | None = None
    stream: Text | None = None
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=3)] | None = None
    begin: Text = "now"
    """`now`, `beginning`, or a position of the feed."""


class Replay(BaseModel):
    """Since when? Left out: all records."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = None


def subscriptions_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/subscriptions")

    def shown(name: str) -> dict[str, Any]:
        return subscription_json(find_subscription(database, name))

    @router.get("", dependencies=READ)
    def list_all() -> dict[str, Any]:
        return {"subscriptions": [subscription_json(row) for row in subscriptions(database)]}

    @router.post("", status_code=201, dependencies=ADMIN)
    def add(body: NewSubscription, response: Response) -> dict[str, Any]:
        """Tell a URL of changes from here on."""
        given = body.model_dump(exclude={"name", "url", "secret"})
        row = add_named(database, body.name, body.url, body.secret, **given)
        response.headers["Location"] = f"/v1/subscriptions/{body.name}"
        return subscription_json(row)

    @router.get("/{name}", dependencies=READ)
    def one(name: Name) -> dict[str, Any]:
        return shown(name)

    @router.delete("/{name}", status_code=204, dependencies=ADMIN)
    def remove(name: Name) -> Response:
        remove_subscription(database, name)
        return Response(status_code=204)

    @router.post("/{name}/pause", dependencies=ADMIN)
    def pause(name: Name) -> dict[str, Any]:
        pause_subscription(database, name)
        return shown(name)

    @router.post("/{name}/resume", dependencies=ADMIN)
    def resume(name: Name) -> dict[str, Any]:
        """Go on where it was, also after it was disabled; what was given up is tried again."""
        resume_subscription(database, name)
        return shown(name)

    @router.post("/{name}/replay", dependencies=ADMIN)
    def replay(name: Name, body: Replay | None = None) -> dict[str, Any]:
        """Tell once more what changed since a time: the latest state of each record."""
        since: datetime | None = (body or Replay()).since
        replay_subscription(database, name, since)
        return shown(name)

    @router.post("/{name}/test", dependencies=ADMIN)
    def test(name: Name) -> dict[str, Any]:
        """Send a test message now, and say whether it was taken."""
        failed = try_out(database, name, loopback=get_settings().outbound_loopback)
        return {"taken": failed is None, "words": failed.words if failed else None}

    return router
