"""The routes of what webhooks told of: which events came, what became of them, what was not taken; and once more, please."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.lists.filters import Shown
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.problems import REQUEST_ID
from scheduler.api.shapes import NO_NUL, Moment
from scheduler.api.who import READ, SYNC, actor_of, connection_of, principal_of
from scheduler.connections.resolve import find_stream
from scheduler.webhooks.events import Replayed, read_event, replay
from scheduler.webhooks.lists import list_events, list_refusals
from scheduler.webhooks.refusals import with_time
from worker.db.database import Database
from worker.errors import InvalidInput

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Key = Annotated[str, Field(min_length=1, max_length=1000, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=500)]
State = Literal["pending", "done", "failed"]


class Event(BaseModel):
    """One thing that a webhook told of. What it held isn't kept: the copy has what came of it."""

    id: UUID
    connection: str
    connection_id: int
    stream: str | None
    kind: Literal["record", "full", "delete", "stream"]
    key: str | None
    type: str | None = Field(description="As the system calls it.")
    event_key: str = Field(
        description="The system's id of it, or a digest: the same twice is the same event."
    )
    said_at: datetime | None
    received_at: datetime
    request_id: str
    state: State
    run_id: UUID | None
    attempts: int
    outcome: str | None
    error: str | None
    done_at: datetime | None
    not_before: datetime | None


class Events(BaseModel):
    """A page of them, the newest first."""

    events: list[Event]
    next: str | None


class RefusedWebhook(BaseModel):
    """A webhook that was not taken, without its secrets."""

    id: UUID
    at: datetime
    connection: str
    connection_id: int
    name: str = Field(description="As the sender wrote it: the connection's name or number.")
    reason: str
    words: str
    headers: dict[str, str]
    body: str | None
    source: str | None
    request_id: str


class RefusedWebhooks(BaseModel):
    """A page of them, the newest first."""

    refusals: list[RefusedWebhook]
    next: str | None


class ReplayRequest(BaseModel):
    """Which events of the connection are done again; left out: all that are kept and don't wait anyway."""

    model_config = ConfigDict(extra="forbid")

    stream: Name | None = None
    state: Literal["done", "failed"] | None = None
    since: Moment | None = None
    until: Moment | None = None


class ReplayedEvents(BaseModel):
    """How many are done again. `more`: call again for the rest."""

    events: int
    more: bool


def events_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1", tags=["webhooks"])

    @router.get("/events", dependencies=READ, response_model=Events)
    def events(
        *,
        request: Request,
        view: Shown,
        connection: Annotated[Name | None, Query()] = None,
        stream: Annotated[Name | None, Query(description="Needs `connection`.")] = None,
        key: Annotated[Key | None, Query(description="Of the record.")] = None,
        state: Annotated[State | None, Query()] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> dict[str, Any]:
        """What webhooks told of, the newest first, with what became of it."""
        (before,) = read_cursor(cursor, UUID)
        connection_id, stream_id = _place(database, request, connection, stream)
        rows = list_events(
            database,
            connection_id=connection_id,
            stream_id=stream_id,
            key=key,
            state=state,
            before=before,
            limit=limit + 1,
            view=view,
        )
        return page_of("events", rows, limit, by=lambda row: (row["id"],))

    @router.get("/events/{event_id}", dependencies=READ, response_model=Event)
    def event(event_id: UUID, request: Request) -> dict[str, Any]:
        """One event."""
        return read_event(database, event_id, view=principal_of(request).view)

    @router.post(
        "/events/{event_id}/replay", status_code=202, dependencies=SYNC, response_model=ReplayedEvents
    )
    def replay_one(event_id: UUID, request: Request) -> dict[str, Any]:
        """Have one event done again: its record is asked for as it is now. One that waits is left as it is."""
        found = read_event(database, event_id, view=principal_of(request).view)
        row = connection_of(request, database, str(found["connection_id"]))
        return _json(replay(database, row, actor_of(request), request_id=_id(request), event_id=event_id))

    @router.post(
        "/connections/{connection_id}/events/replay",
        status_code=202,
        dependencies=SYNC,
        response_model=ReplayedEvents,
    )
    def replay_many(
        connection_id: Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL)],
        request: Request,
        body: ReplayRequest | None = None,
    ) -> dict[str, Any]:
        """Have the events of a connection done again that fit, 10,000 at a time."""
        wanted = body or ReplayRequest()
        row = connection_of(request, database, connection_id)
        stream_id = None if wanted.stream is None else find_stream(database, row, wanted.stream)["id"]
        done = replay(
            database,
            row,
            actor_of(request),
            request_id=_id(request),
            stream_id=stream_id,
            state=wanted.state,
            since=wanted.since,
            until=wanted.until,
        )
        return _json(done)

    @router.get("/webhook-refusals", dependencies=READ, response_model=RefusedWebhooks)
    def refusals(
        *,
        request: Request,
        view: Shown,
        connection: Annotated[Name | None, Query()] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> dict[str, Any]:
        """Webhooks that were not taken, with the reason that their sender isn't told; kept for a short while."""
        (before,) = read_cursor(cursor, UUID)
        connection_id, _ = _place(database, request, connection, None)
        rows = list_refusals(database, connection_id=connection_id, before=before, limit=limit + 1, view=view)
        return page_of("refusals", rows, limit, by=lambda row: (row["id"],), shape=with_time)

    return router


def _place(
    database: Database, request: Request, connection: str | None, stream: str | None
) -> tuple[int | None, int | None]:
    if connection is None:
        if stream is not None:
            raise InvalidInput(
                "missing_connection", "A stream is named without its connection.", place="query.stream"
            )
        return None, None
    found = connection_of(request, database, connection)
    return found["id"], None if stream is None else find_stream(database, found, stream)["id"]


def _json(done: Replayed) -> dict[str, Any]:
    return {"events": done.events, "more": done.more}


def _id(request: Request) -> str:
    found: str = getattr(request.state, REQUEST_ID)
    return found
