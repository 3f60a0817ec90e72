"""The routes of the change feed: read it, wait for what comes, and keep positions by name.

Reading is a coroutine, so that those who wait for a change hold no thread; every statement runs on one.
"""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from scheduler.api.document.refusals import refusals
from scheduler.api.lists.filters import Environment, Labels
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.routes.feed import shapes
from scheduler.api.shapes import NO_NUL
from scheduler.api.waiting.bell import Bell
from scheduler.api.who import READ, principal_of
from scheduler.connections.view import labels_of, narrowed
from scheduler.feed.changes import consumer_json, position_named, wanted_named
from worker.db.database import Database
from worker.errors import InvalidInput
from worker.feed.consumers import (
    commit,
    consumers,
    delete_consumer,
    find_consumer,
    position_of_consumer,
)
from worker.feed.position import Position
from worker.feed.reading import Kind, Page, Wanted, look, read_changes
from worker.feed.wording import page_json

MOST_WAIT = 60
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Name = Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL)]


class Asked(BaseModel):
    """What is asked of the feed."""

    model_config = ConfigDict(extra="forbid")

    after: Text | None = None
    """A position, `beginning` or `now`; left out: the beginning."""
    consumer: Text | None = None
    wait: Annotated[float, Field(ge=0, le=MOST_WAIT)] = 0
    connection: Text | None = None
    stream: Text | None = None
    tenant: Text | None = None
    label: Labels = []
    environment: Environment | None = None
    kind: list[Kind] = []
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    content: bool = True


class Commit(BaseModel):
    """How far it has read. Left out: it begins at the beginning."""

    model_config = ConfigDict(extra="forbid")

    position: Annotated[str, Field(min_length=1, max_length=200)] = "beginning"


def changes_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")
    bell: list[Bell] = []  # made in the event loop that it belongs to

    def begin(request: Request, asked: Asked) -> tuple[Position | None, Wanted]:
        if asked.after is not None and asked.consumer is not None:
            raise InvalidInput("two_positions", "Give after or consumer, not both.", place="query.after")
        who = principal_of(request).view
        shown = narrowed(
            who,
            environment=asked.environment,
            tenant=asked.tenant,
            labels=labels_of(asked.label, place="query.label"),
        )
        what = wanted_named(
            database, asked.connection, asked.stream, asked.kind, content=asked.content, view=shown
        )
        if asked.consumer is not None:
            return position_of_consumer(database, asked.consumer, who), what
        if asked.after is None:
            return None, what
        return position_named(database, asked.after, place="query.after"), what

    async def page_after(position: Position | None, what: Wanted, limit: int, until: float) -> Page:
        """The first page with something in it, or the last one when the time is over."""
        while True:
            page = await run_in_threadpool(read_changes, database, position, what, limit=limit)
            position, left = page.next, until - time.monotonic()
            if page.changes or left <= 0:
                return page
            if not page.more and not await bell[0].wait(position.place, left):
                return page

    @router.get("/changes", dependencies=READ, response_model=shapes.Changes, responses=refusals(410))
    async def changes(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        """Changes after a position, in the order of the feed. `next` is what to give as `after` for what follows.

        With `wait`, an answer without changes is put off until there is one, or the seconds are over.
        """
        bell[:] = bell or [Bell(lambda: look(database).end)]
        until = time.monotonic() + asked.wait
        position, what = await run_in_threadpool(begin, request, asked)
        page = await page_after(position, what, asked.limit, until)
        return Response(page_json(page, content=asked.content), media_type="application/json")

    _consumer_routes(router, database)
    return router


def _consumer_routes(router: APIRouter, database: Database) -> None:
    @router.get("/consumers", dependencies=READ, response_model=shapes.Consumers)
    def list_consumers(
        request: Request, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> dict[str, Any]:
        """Readers whose position is kept here, by name, and how far behind they are: those of tokens that see the same."""
        (name,) = read_cursor(cursor, str)
        found = consumers(database, principal_of(request).view, after=name or "", limit=limit + 1)
        rows = [consumer_json(consumer) for consumer in found]
        return page_of("consumers", rows, limit, by=lambda row: (row["name"],))

    @router.get("/consumers/{name}", dependencies=READ, response_model=shapes.ConsumerShape)
    def one_consumer(name: Name, request: Request) -> dict[str, Any]:
        """One reader, and how far it is behind."""
        return consumer_json(find_consumer(database, name, principal_of(request).view))

    @router.put(
        "/consumers/{name}", dependencies=READ, response_model=shapes.ConsumerShape, responses=refusals(410)
    )
    def commit_consumer(name: Name, request: Request, body: Commit | None = None) -> dict[str, Any]:
        """Remember how far it has read: the `next` of the page it is done with. Makes it if it isn't there."""
        text, view = (body or Commit()).position, principal_of(request).view
        commit(database, name, position_named(database, text, place="body.position"), view)
        return consumer_json(find_consumer(database, name, view))

    @router.delete("/consumers/{name}", status_code=204, dependencies=READ)
    def forget_consumer(name: Name, request: Request) -> Response:
        """Forget a reader's position."""
        delete_consumer(database, name, principal_of(request).view)
        return Response(status_code=204)
