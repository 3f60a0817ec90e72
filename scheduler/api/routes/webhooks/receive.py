"""The door that systems knock at: `/webhooks/{connection}`. No token, but a proof that each system's manifest names.

Everything that isn't taken is answered alike, after the same time and the same look-ups: whether there is such a
connection, what was wrong, and how nearly it was right are for the list of refusals. 2xx means that it is committed.
Emits: webhook_refused, webhook_not_taken.
"""

import asyncio
import math
import time
from datetime import UTC, datetime
from itertools import count
from urllib.parse import parse_qsl
from uuid import uuid4

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.around.segments import with_slashes
from scheduler.api.problems import REQUEST_ID, problem, refusal
from scheduler.api.who import SOURCE
from scheduler.webhooks.collecting import Collector
from scheduler.webhooks.doors import Door, Doors
from scheduler.webhooks.refusals import Refused, Sparing, keep
from scheduler.webhooks.storing import Event
from worker.config import load_settings
from worker.connectors.contract import Delivery, Hint
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.webhooks.delivery import Refusal, Told

log = structlog.get_logger()

REFUSAL_TIME = 0.05
"""Refusals are answered at multiples of this after they came, whatever took how long."""
LARGE = 64 * 1024
"""Bytes of a body above which it is understood on a thread: others go on meanwhile."""
LONGEST_NAME = 200

_PROCESS = uuid4().hex
_numbers = count()
"""Together a text that no other webhook has."""

TREE = "/webhooks/"
METHODS = ("GET", "HEAD", "POST")


class Receiver:
    """Takes webhooks. `close` ends it when nothing comes any more."""

    def __init__(self, database: Database) -> None:
        self._own = database.another(name="api webhooks", pool=3)
        self._doors = Doors(self._own)
        self._collector = Collector(self._own)
        self._sparing = Sparing()
        self._public_url = (load_settings().public_url or "").rstrip("/")

    def close(self) -> None:
        self._collector.close()
        self._own.close()

    async def __call__(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response()
        begun = time.monotonic()
        name, _, rest = request.scope["path"].removeprefix(TREE).partition("/")
        name = with_slashes(name)[:LONGEST_NAME]
        delivery = self._delivery(request, await request.body(), with_slashes(rest))
        door = await self._doors.find(name)
        try:
            return await self._answer(door, name, delivery, request)
        except Refusal as first:
            refused = first
        if (again := await self._doors.find_again(name)) is not None:
            door = again
            try:
                return await self._answer(door, name, delivery, request)
            except Refusal as second:
                refused = second
        await self._note(refused, door, name, request)
        spent = time.monotonic() - begun
        await asyncio.sleep(math.ceil(spent / REFUSAL_TIME) * REFUSAL_TIME - spent)
        return problem(request, 403, "webhook_refused", "This webhook isn't known, or isn't proved.")

    async def _answer(self, door: Door | None, name: str, delivery: Delivery, request: Request) -> Response:
        """2xx, or `Refusal`."""
        if door is None:
            raise Refusal("unknown_connection", "There is no such connection, or it takes no webhooks.")
        now = datetime.now(UTC)
        reply = door.webhooks.handshake(delivery, door.secrets, now)
        if reply is not None:
            return Response(reply.body, reply.status, dict(reply.headers))
        if delivery.method != "POST":
            raise Refusal("malformed", "A webhook is a POST.")
        told = await _told(door, delivery, door.webhooks.verify(delivery, door.secrets, now))
        if told.refused and not told.hints:
            raise told.refused[0]
        request_id = getattr(request.state, REQUEST_ID)
        events = [
            Event(door.connection_id, door.streams[hint.stream], hint, request_id)
            for hint in told.hints
            if hint.stream in door.streams
        ]
        fresh = await self._collector.add(events) if events else 0
        if told.refused:
            await self._note(told.refused[0], door, name, request, many=len(told.refused))
        return JSONResponse({"events": len(events), "new": fresh}, 200)

    def _delivery(self, request: Request, body: bytes, rest: str) -> Delivery:
        scope = request.scope
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
        headers = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]]
        host = next((value for key, value in headers if key == "host"), "")
        base = self._public_url or f"{scope['scheme']}://{host}"
        return Delivery(
            method=request.method,
            body=body,
            headers=headers,
            params=parse_qsl(query, keep_blank_values=True) if query else (),
            url=f"{base}{path}{'?' + query if query else ''}",
            rest=rest,
        )

    async def _note(
        self, refusal: Refusal, door: Door | None, name: str, request: Request, many: int = 1
    ) -> None:
        """Count it, and keep it if there is room; of several events in one webhook the first."""
        connection_id = door.connection_id if door else None
        self._collector.refused(connection_id or 0, many)
        log.info("webhook_refused", connection_id=connection_id, reason=refusal.code, many=many)
        if self._sparing.may_keep(connection_id or 0):
            refused = Refused(
                refusal,
                connection_id,
                name,
                request.headers.items(),
                getattr(request.state, SOURCE, None),
                getattr(request.state, REQUEST_ID),
            )
            await asyncio.to_thread(keep, self._own, refused)


async def _told(door: Door, delivery: Delivery, proved: bytes) -> Told[Hint]:
    """What it tells of."""
    fresh = f"{_PROCESS}-{next(_numbers)}"
    if len(delivery.body) > LARGE:
        return await asyncio.to_thread(door.webhooks.told, delivery, proved, fresh)
    return door.webhooks.told(delivery, proved, fresh)


class Webhooks:
    """The open tree of webhooks. It stands before the routes, since finding one costs more than taking a webhook in."""

    def __init__(self, app: ASGIApp, *, receiver: Receiver) -> None:
        self._app = app
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(TREE):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            if scope["method"] not in METHODS:
                raise HTTPException(405, headers={"Allow": ", ".join(METHODS)})
            answer = await self._receiver(request)
        except ClientDisconnect:
            return
        except HTTPException as error:
            answer = refusal(request, error)
        except HeadraceError as error:
            # Strangers are told nothing of our servers: an error's words may name them.
            log.warning("webhook_not_taken", error_code=error.code, error=error.message)
            answer = problem(request, 503, "unavailable", "No webhook can be taken now: send it again.")
        await answer(scope, receive, send)
