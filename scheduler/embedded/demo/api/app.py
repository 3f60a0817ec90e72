"""What does the demo system's API answer?

`GET /api/v1/<entity>` in three ways of paging, `/api/v1/links/<entity>` with links to follow, `/api/v1/<entity>/<id>`,
`/api/v1/deleted` with what vanished, and `/api/v1/webhooks` for whoever wants to be told of changes. Every request is
written down at arrival, before anything can go wrong with it. The order in which it can: token, limit, latency, error,
then what is wrong with the page.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scheduler.embedded.demo.api import answers
from scheduler.embedded.demo.api.control import control_routes
from scheduler.embedded.demo.api.listing import (
    Answer,
    BadQuery,
    Listing,
    answer,
    answer_purged,
    following,
    read_purged_query,
    read_query,
)
from scheduler.embedded.demo.api.webhooks import webhook_routes
from scheduler.embedded.demo.plant.memory.shelf import Span
from scheduler.embedded.demo.plant.schema import ENTITIES
from scheduler.embedded.demo.system import System

Handler = Callable[[Request], Awaitable[Response]]


def build_app(system: System) -> Starlette:
    api = Api(system)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        life = asyncio.create_task(system.live())
        yield
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life

    routes = [
        Route("/health", health),
        Route("/api/v1/links/{entity}", api.guarded(api.links)),
        Route("/api/v1/deleted", api.guarded(api.purged)),
        *webhook_routes(system, api.guarded),
        Route("/api/v1/{entity}", api.guarded(api.list)),
        Route("/api/v1/{entity}/{id}", api.guarded(api.one)),
        *control_routes(system),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def health(_request: Request) -> Response:
    return answers.as_json({"status": "ok"})


class Api:
    def __init__(self, system: System) -> None:
        self.system = system
        self._tokens = [token.encode() for token in system.options.tokens]

    def guarded(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            counts = self.system.counts
            counts.enter()
            status = 499  # it went away before we answered
            try:
                response = await self._admit(request, handler)
                status = response.status_code
                system = self.system
                return answers.dated(response, (system.plant.now() + system.skew(_entity(request))) / 1000)
            finally:
                counts.leave(status)

        return handle

    async def _admit(self, request: Request, handler: Handler) -> Response:
        faults, now, entity = self.system.faults, self.system.plant.now(), _entity(request)
        token = self._token_of(request)
        if token is None or faults.take("auth_revoked", entity, now):
            return answers.refused(401, "unauthorized", "The token is missing, wrong or revoked.")
        arrived = time.time()
        verdict = self.system.limiter.arrive(token, arrived)
        headers = verdict.headers(arrived)
        storm = faults.take("storm_429", entity, now)
        if not verdict.admitted or storm is not None:
            told = headers if storm is None else {**headers, "Retry-After": str(storm)}
            return answers.refused(429, "rate_limited", "Too many requests: see Retry-After.", told)
        if (span := faults.take("latency_ms", entity, now)) is not None:
            await asyncio.sleep(faults.between(*span) / 1000)
        if (error := faults.take("error_rate", entity, now)) is not None:
            return answers.failed(error["status"], error["body"])
        try:
            response = await handler(request)
        except BadQuery as wrong:
            response = answers.refused(400, "bad_parameter", str(wrong))
        response.headers.update(headers)
        return response

    async def list(self, request: Request) -> Response:
        return self._page(request, linked=False)

    async def links(self, request: Request) -> Response:
        return self._page(request, linked=True)

    async def purged(self, request: Request) -> Response:
        """What vanished without a flag, until it is restored."""
        entity, listing = read_purged_query(request.query_params)
        now = self.system.plant.now()
        found = answer_purged(listing, entity, self.system.plant.store.shelves[entity.name])
        if self.system.faults.take("empty_list", entity.name, now):
            found = answers.emptied(found)
        return self._spoilt(answers.body(found.body()), entity.name, now)

    async def one(self, request: Request) -> Response:
        entity, plant = request.path_params["entity"], self.system.plant
        plant.now()
        record_id = ENTITIES[entity].parse_id(request.path_params["id"]) if entity in ENTITIES else None
        item = None if record_id is None else plant.store.shelves[entity].items.get(record_id)
        wants_deleted = request.query_params.get("include_deleted") == "true"
        if item is None or (item.deleted and not wants_deleted):
            return answers.refused(404, "not_found", "There is no such record.")
        return answers.body(item.raw)

    def _page(self, request: Request, *, linked: bool) -> Response:
        entity, system = request.path_params["entity"], self.system
        if entity not in ENTITIES:
            return answers.refused(404, "not_found", f"There is no entity {entity}.")
        listing = read_query(request.query_params, ENTITIES[entity])
        if linked and listing.kind != "cursor":
            raise BadQuery("Here pages are found by their links: give limit, no page and no offset.")
        now = system.plant.now()
        if listing.kind != "cursor" and (shift := system.faults.take("shifting_pages", entity, now)):
            system.shift(entity, **shift)
        found = self._found(listing, entity, now)
        return self._spoilt(
            self._linked(request, found) if linked else answers.body(found.body()), entity, now
        )

    def _found(self, listing: Listing, entity: str, now: int) -> Answer:
        """The page that is asked for, or the lie that a fault makes of it."""
        take, shelf = self.system.faults.take, self.system.plant.store.shelves[entity]
        if (every := take("broken_filter", entity, now)) is not None:
            shelf = shelf.without(every)
        if take("ignored_filter", entity, now):
            listing = replace(listing, span=Span())
        found = answer(listing, shelf)
        after = following(listing, found)
        if after is not None and take("dropped_page", entity, now):
            found = answer(after, shelf)
        if after is not None and take("cut_short", entity, now):
            found = answers.cut_short(found)
        if take("empty_list", entity, now):
            found = answers.emptied(found)
        if found.rows and (name := take("mangled_field", entity, now)):
            found = answers.with_mangled_field(found, name)
        if found.rows and (how := take("bad_record", entity, now)):
            found = answers.with_bad_record(found, how)
        return found

    def _linked(self, request: Request, found: Answer) -> Response:
        """The same page with its way on as a URL: in the body, and as a `Link` header."""
        more = {"total": found.more["total"], "next": None}
        if found.next_cursor is None:
            return answers.body(Answer(found.rows, more).body())
        query = urlencode({**request.query_params, "cursor": found.next_cursor})
        url = str(request.url.replace(query=query, fragment=""))
        response = answers.body(Answer(found.rows, {**more, "next": url}).body())
        response.headers["Link"] = f'<{url}>; rel="next"'
        return response

    def _spoilt(self, response: Response, entity: str, now: int) -> Response:
        faults = self.system.faults
        if faults.take("wrong_content_type", entity, now):
            response.headers["content-type"] = "text/html; charset=utf-8"
        if faults.take("malformed_json", entity, now):
            response = answers.malformed(response)
        if faults.take("truncated_body", entity, now):
            response = answers.Truncated(response)
        return response

    def _token_of(self, request: Request) -> int | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        presented = given.strip().encode()
        matches = [hmac.compare_digest(presented, token) for token in self._tokens]
        return matches.index(True) if True in matches else None


def _entity(request: Request) -> str:
    """Which entity a request is about; the list of deletes has it in its query."""
    entity: str = request.path_params.get("entity", request.query_params.get("entity", ""))
    return entity
