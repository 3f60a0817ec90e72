"""The routes about how well webhooks tell, and about their registration at the systems."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from scheduler.api.lists.filters import Shown
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.shapes import NO_NUL
from scheduler.api.who import READ, WRITE, actor_of, connection_of
from scheduler.connections.systems import known_systems
from scheduler.webhooks.numbers import DAYS, connection_json, numbers_by_stream, numbers_of, stream_json
from scheduler.webhooks.registering.wishes import register_webhooks, unregister_webhooks
from worker.config import load_settings
from worker.db.database import Database

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL)]
Days = Annotated[int, Query(ge=1, le=90, description="Counted over so many days, today's among them.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class Numbers(BaseModel):
    """What came in the days that were asked for."""

    received: int
    repeated: int = Field(description="Known already, and answered alike.")
    told: int = Field(description="Changes that a webhook told of before the poll found them.")
    missed: int = Field(description="Changes that the poll found and no webhook had told of.")
    miss_ratio: float | None = Field(description="Of those told of and missed, those missed; null: neither.")
    unheard: int = Field(
        description="Changes of which a webhook may have come while no API was up, or before the connection was as it is."
    )
    pending: int = Field(description="Events that wait for their run, up to 10,000.")


class Registration(BaseModel):
    """Of the webhook at the system, where Headrace keeps it."""

    state: str
    error: str | None
    expires_at: datetime | None


class ConnectionWebhooks(Numbers):
    """How well a connection's webhooks tell."""

    connection: str
    connection_id: int
    environment: str
    tenant: str | None
    system: str
    refused: int = Field(description="Unverified, or not understood.")
    last_received_at: datetime | None
    registration: Registration | None


class StreamWebhooks(Numbers):
    """The same of a stream."""

    stream: str
    poll: str
    stretch: float = Field(description="So many times its interval pass between two polls now.")


class WholeWebhooks(ConnectionWebhooks):
    """A connection's, with each of its streams."""

    streams: list[StreamWebhooks]


class Wanted(BaseModel):
    """It is noted, and done within seconds: `registration.state` of the connection's webhooks tells how it went."""

    connection: str
    url: str = Field(description="To which the system will send.")


class Unwanted(BaseModel):
    """What is registered is removed at the system within seconds."""

    connection: str
    removing: int = Field(description="How many were registered, or were to be.")


class WebhookPage(BaseModel):
    """Connections that take webhooks, in the order of their names."""

    webhooks: list[ConnectionWebhooks]
    next: str | None


def webhook_numbers_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")

    @router.get("/webhooks", dependencies=READ, response_model=WebhookPage)
    def list_numbers(
        view: Shown, days: Days = DAYS, limit: Limit = 100, cursor: Cursor = None
    ) -> dict[str, Any]:
        """Connections that take webhooks: what came, what was told of before the poll found it, and what was missed."""
        name, id_ = read_cursor(cursor, str, int)
        rows = numbers_of(database, days=days, limit=limit + 1, after=(name or "", id_ or 0), view=view)
        return page_of(
            "webhooks", rows, limit, by=lambda row: (row["connection"], row["id"]), shape=connection_json
        )

    @router.get("/connections/{connection_id}/webhooks", dependencies=READ, response_model=WholeWebhooks)
    def of_connection(connection_id: Name, request: Request, days: Days = DAYS) -> dict[str, Any]:
        """The same of one connection, and of each of its streams."""
        found = connection_of(request, database, connection_id)
        (row,) = numbers_of(database, connection_id=found["id"], days=days)
        streams = numbers_by_stream(database, found["id"], days=days)
        return {**connection_json(row), "streams": [stream_json(each) for each in streams]}

    @router.post(
        "/connections/{connection_id}/webhooks", dependencies=WRITE, response_model=Wanted, status_code=202
    )
    def register(connection_id: Name, request: Request) -> dict[str, Any]:
        """Have its webhooks registered at the system, and kept so: renewed, enabled again, and created again if they vanish."""
        found = connection_of(request, database, connection_id)
        url = register_webhooks(
            database,
            known_systems(),
            found["id"],
            public_url=load_settings().public_url,
            actor=actor_of(request),
        )
        return {"connection": found["name"], "url": url}

    @router.delete(
        "/connections/{connection_id}/webhooks", dependencies=WRITE, response_model=Unwanted, status_code=202
    )
    def unregister(connection_id: Name, request: Request) -> dict[str, Any]:
        """Have them removed at the system. Those that were registered there by hand stay."""
        found = connection_of(request, database, connection_id)
        removing = unregister_webhooks(database, found["id"], actor=actor_of(request))
        return {"connection": found["name"], "removing": removing}

    return router
