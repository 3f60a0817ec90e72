"""The routes of outbound events: who is told of what, from where on, and whether it arrives."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.document.refusals import refusals
from scheduler.api.lists.filters import Environment, Labels, Tenant
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.routes.feed import shapes
from scheduler.api.shapes import NO_NUL, Moment
from scheduler.api.who import ADMIN, READ, actor_of, connection_of, principal_of
from scheduler.connections.view import View, labels_of, narrowed
from scheduler.feed.subscriptions import add_named, allowed_secret, noted, subscription_json, try_out
from worker.config import get_settings
from worker.db.database import Database
from worker.feed.reading import Kind
from worker.feed.spaces import space_of
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
    tenant: Text | None = None
    labels: Annotated[dict[Text, Text], Field(max_length=20)] | None = None
    environment: Environment | None = None
    begin: Text = "now"
    """`now`, `beginning`, or a position of the feed."""


class Replay(BaseModel):
    """Since when? Left out: all records."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = None


def view_of(request: Request) -> View:
    """What whoever asks sees."""
    return principal_of(request).view


def subscriptions_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/subscriptions")

    _add_states(router, database)

    @router.get("", dependencies=READ, response_model=shapes.Subscriptions)
    def list_all(
        *,
        request: Request,
        connection: Annotated[Text | None, Query()] = None,
        tenant: Tenant | None = None,
        label: Annotated[Labels, Query()] = [],  # noqa: B006 - FastAPI copies it
        environment: Annotated[Environment | None, Query()] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Those that tell of nothing but what the token sees, by name. Filters leave those that tell of nothing else."""
        name, space = read_cursor(cursor, str, str)
        found = None if connection is None else connection_of(request, database, connection)["id"]
        labels = labels_of(label, place="query.label")
        rows = subscriptions(
            database,
            narrowed(view_of(request), environment=environment, labels=labels),
            connection_id=found,
            tenant=tenant,
            after=(name or "", space or ""),
            limit=limit + 1,
        )
        return page_of(
            "subscriptions",
            rows,
            limit,
            by=lambda row: (row["name"], row["space"]),
            shape=subscription_json,
        )

    @router.post(
        "",
        status_code=201,
        dependencies=ADMIN,
        response_model=shapes.SubscriptionShape,
        responses=refusals(410),
    )
    def add(body: NewSubscription, request: Request, response: Response) -> dict[str, Any]:
        """Tell a URL of changes from here on: of what the token sees, also of what comes to it later, and no more."""
        who = principal_of(request)
        given = body.model_dump(include={"connection", "stream", "kinds", "begin"})
        shown = narrowed(who.view, environment=body.environment, tenant=body.tenant, labels=body.labels)
        row = add_named(
            database,
            body.name,
            body.url,
            allowed_secret(who, body.secret),
            view=shown,
            space=space_of(who.view),
            actor=actor_of(request),
            **given,
        )
        response.headers["Location"] = f"/v1/subscriptions/{quote(body.name, safe='')}"
        return subscription_json(row)

    @router.get("/{name}", dependencies=READ, response_model=shapes.SubscriptionShape)
    def one(name: Name, request: Request) -> dict[str, Any]:
        """One subscription, and whether what it tells arrives."""
        return subscription_json(find_subscription(database, name, view_of(request)))

    @router.delete("/{name}", status_code=204, dependencies=ADMIN)
    def remove(name: Name, request: Request) -> Response:
        """Tell it nothing more."""
        remove_subscription(
            database, name, view_of(request), noting=noted(actor_of(request), "subscription.delete", name)
        )
        return Response(status_code=204)

    return router


def _add_states(router: APIRouter, database: Database) -> None:
    def shown(request: Request, name: str) -> dict[str, Any]:
        return subscription_json(find_subscription(database, name, view_of(request)))

    @router.post("/{name}/pause", dependencies=ADMIN, response_model=shapes.SubscriptionShape)
    def pause(name: Name, request: Request) -> dict[str, Any]:
        """Tell it nothing until it is resumed; it misses nothing."""
        pause_subscription(
            database, name, view_of(request), noting=noted(actor_of(request), "subscription.pause", name)
        )
        return shown(request, name)

    @router.post("/{name}/resume", dependencies=ADMIN, response_model=shapes.SubscriptionShape)
    def resume(name: Name, request: Request) -> dict[str, Any]:
        """Go on where it was, also after it was disabled; what was given up is tried again."""
        resume_subscription(
            database, name, view_of(request), noting=noted(actor_of(request), "subscription.resume", name)
        )
        return shown(request, name)

    @router.post("/{name}/replay", dependencies=ADMIN, response_model=shapes.SubscriptionShape)
    def replay(name: Name, request: Request, body: Replay | None = None) -> dict[str, Any]:
        """Tell once more what changed since a time: the latest state of each record."""
        since: datetime | None = (body or Replay()).since
        replay_subscription(
            database,
            name,
            since,
            view_of(request),
            noting=noted(actor_of(request), "subscription.replay", name),
        )
        return shown(request, name)

    @router.post("/{name}/test", dependencies=ADMIN, response_model=shapes.Tried)
    def test(name: Name, request: Request) -> dict[str, Any]:
        """Send a test message now, and say whether it was taken."""
        failed = try_out(database, name, loopback=get_settings().outbound_loopback, view=view_of(request))
        return {"taken": failed is None, "words": failed.words if failed else None}
