"""The door that systems knock at: `/webhooks/{connection}`. No token, but a proof that each system's manifest names.

Everything that isn't taken is answered alike, after the same time: whether there is such a connection, what was wrong,
and how nearly it was right are for the list of refusals. 2xx means that it is committed. Emits: webhook_refused.
"""

import asyncio
import math
import time
from datetime import UTC, datetime
from urllib.parse import parse_qsl
from uuid import uuid4

import structlog
from psycopg.types.json import Jsonb
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.problems import REQUEST_ID, answer_to, problem, refusal
from scheduler.api.who import SOURCE
from scheduler.webhooks.collecting import Collector
from scheduler.webhooks.doors import Door, Doors
from scheduler.webhooks.storing import Event, sql
from worker.config import load_settings
from worker.connectors.contract import Delivery, Reply
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.telemetry.redaction import redactor
from worker.webhooks.delivery import Refusal

log = structlog.get_logger()

REFUSAL_TIME = 0.05
"""Refusals are answered at multiples of this after they came, whatever took how long."""
KEPT_A_SECOND = 5
"""More refusals than this in a second are counted, and not kept."""
SHOWN_HEADERS = frozenset({"content-type", "content-length", "user-agent"})


TREE = "/webhooks/"
METHODS = ("GET", "HEAD", "POST")


class Receiver:
    """Takes webhooks. `close` ends it when nothing comes any more."""

    def __init__(self, database: Database) -> None:
        self._own = database.another(name="api webhooks", pool=3)
        self._doors = Doors(self._own)
        self._collector = Collector(self._own)
        self._kept = (0, 0)
        self._public_url = (load_settings().public_url or "").rstrip("/")

    def close(self) -> None:
        self._collector.close()
        self._own.close()

    async def __call__(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response()
        begun = time.monotonic()
        name, _, rest = request.scope["path"].removeprefix(TREE).partition("/")
        name = name.replace("%2F", "/").replace("%2f", "/")
        body = await request.body()
        door = await self._doors.find(name[:200])
        delivery = self._delivery(request, body, rest)
        try:
            return await self._take(door, name[:200], delivery, request)
        except Refusal as refusal:
            await asyncio.to_thread(self._keep, refusal, door, name[:200], request)
        spent = time.monotonic() - begun
        await asyncio.sleep(math.ceil(spent / REFUSAL_TIME) * REFUSAL_TIME - spent)
        return problem(request, 403, "webhook_refused", "This webhook isn't known, or isn't proved.")

    async def _take(self, door: Door | None, name: str, delivery: Delivery, request: Request) -> Response:
        if door is None:
            raise Refusal("unknown_connection", "There is no such connection, or it takes no webhooks.")
        try:
            proved = self._proved(door, delivery)
        except Refusal:
            again = await self._doors.find_again(name)
            if again is None:
                raise
            door = again
            proved = self._proved(door, delivery)
        if isinstance(proved, Reply):
            return Response(proved.body, proved.status, dict(proved.headers))
        told = door.webhooks.told(delivery, proved, uuid4().hex)
        if told.refused and not told.hints:
            raise told.refused[0]
        request_id = getattr(request.state, REQUEST_ID)
        events = [
            Event(door.connection_id, door.streams[hint.stream], hint, request_id)
            for hint in told.hints
            if hint.stream in door.streams
        ]
        fresh = await self._collector.add(events) if events else 0
        return JSONResponse({"events": len(events), "new": fresh}, 200)

    def _proved(self, door: Door, delivery: Delivery) -> bytes | Reply:
        now = datetime.now(UTC)
        reply = door.webhooks.handshake(delivery, door.secrets, now)
        if reply is not None:
            return reply
        if delivery.method != "POST":
            raise Refusal("malformed", "A webhook is a POST.")
        return door.webhooks.verify(delivery, door.secrets, now)

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

    def _keep(self, refusal: Refusal, door: Door | None, name: str, request: Request) -> None:
        """Count it, and keep it for whoever sets it up, without the body and without what may be a secret."""
        connection_id = door.connection_id if door else None
        self._collector.refused(connection_id or 0)
        log.info("webhook_refused", connection_id=connection_id, reason=refusal.code)
        second, kept = int(time.monotonic()), self._kept
        if kept[0] == second and kept[1] >= KEPT_A_SECOND:
            return
        self._kept = (second, kept[1] + 1 if kept[0] == second else 1)
        shown = {
            key: redactor.redact(value[:200]) if key in SHOWN_HEADERS else "…"
            for key, value in list(request.headers.items())[:50]
        }
        try:
            self._own.run(
                sql.keep_refusal,
                {
                    "connection": connection_id,
                    "name": redactor.redact(name.replace("\0", "")),
                    "reason": refusal.code,
                    "words": redactor.redact(refusal.message),
                    "headers": Jsonb(shown),
                    "source": getattr(request.state, SOURCE, None),
                    "request": getattr(request.state, REQUEST_ID),
                },
            )
        except HeadraceError as exc:
            log.warning("webhook_refused", reason="not_kept", error=exc.code)


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
            answer = answer_to(request, error)
        await answer(scope, receive, send)
