"""What goes around every request: its id, its time, its size, its limit, and a last word where everything else failed.

`X-Request-ID` is taken from the client if it is harmless, and made otherwise; it stands in every answer, in every log
line of the request, and on the runs that the request asked for. HEAD is answered as GET is, without a body, and a GET
whose answer the client has already (`If-None-Match`) with 304. Emits: request_served.
"""

import random
import re
import time
from uuid import UUID

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.around.bodies import Body, Room
from scheduler.api.around.rates import LIMIT
from scheduler.api.around.segments import keep_slashes
from scheduler.api.etag import matches
from scheduler.api.problems import REQUEST_ID, refusal, unexpected

_HARMLESS = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}\Z")
_QUIET = {"/healthz", "/readyz"}
"""Asked every few seconds by machines; logged at DEBUG."""
_OWN_HEAD = ("/webhooks/", "/connect/")
"""There a HEAD may mean something of its own."""
_BODY_HEADERS = ("content-length", "content-type")
_dice = random.Random()  # noqa: S311 - an id is no secret; `uuid4` asks the kernel, and others take the interpreter meanwhile

log = structlog.get_logger()


class Frame:
    """The outermost part of the API."""

    def __init__(self, app: ASGIApp, *, room: Room | None = None) -> None:
        self._app = app
        self._room = room or Room()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, Body(scope, receive, self._room), send)
        scope.setdefault("state", {})[REQUEST_ID] = exchange.request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        inner = exchange.routed()
        request = Request(inner, receive)
        try:
            await self._app(inner, exchange.receive, exchange.send)
        except Exception as exc:
            if exchange.status is not None:
                raise
            answer = refusal(request, exc) if isinstance(exc, HTTPException) else unexpected(request, exc)
            await answer(inner, receive, exchange.send)
        finally:
            exchange.body.end()
            exchange.say()
            structlog.contextvars.clear_contextvars()


class _Exchange:
    """One request and its answer, as they pass by."""

    def __init__(self, scope: Scope, body: Body, send: Send) -> None:
        self.scope = scope
        self.body = body
        self.request_id = request_id_of(scope)
        self.status: int | None = None
        self._send = send
        self._begun = time.perf_counter()
        self._without_body = False

    def routed(self) -> Scope:
        """The scope as the routes see it: a HEAD finds what a GET would, and a name may hold a slash."""
        scope = keep_slashes(self.scope)
        if scope["method"] != "HEAD" or scope["path"].startswith(_OWN_HEAD):
            return scope
        self._without_body = True
        return {**scope, "method": "GET"}

    async def receive(self) -> Message:
        return await self.body.receive(answered=self.status is not None)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if self._is_known(message["status"], headers):
                message = {**message, "status": 304}
                headers = MutableHeaders(scope=message)
                self._without_body = True
                for name in _BODY_HEADERS:
                    del headers[name]
            self.status = message["status"]
            headers["X-Request-ID"] = self.request_id
            headers["X-Response-Time"] = f"{self._milliseconds()}ms"
            headers.append("Server-Timing", f"app;dur={self._milliseconds()}")
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
            headers.update(self.scope["state"].get(LIMIT, {}))
            if self.body.is_announced_too_long:
                headers["Connection"] = "close"  # whoever was answered before it was read still sends it
        elif self._without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def say(self) -> None:
        say = log.debug if self._is_quiet() else log.info
        say(
            "request_served",
            method=self.scope["method"],
            path=_shown(self.scope["path"]),
            status=self.status,
            ms=self._milliseconds(),
        )

    def _is_quiet(self) -> bool:
        """A webhook that was taken is a row with its request's id."""
        path = self.scope["path"]
        return path in _QUIET or (path.startswith("/webhooks/") and self.status == 200)

    def _is_known(self, status: int, headers: MutableHeaders) -> bool:
        """Whether the client has this answer already."""
        given = _header(self.scope, b"if-none-match")
        etag = headers.get("etag")
        if given is None or etag is None or status != 200 or self.scope["method"] not in {"GET", "HEAD"}:
            return False
        return matches(given.decode("latin-1"), etag, weak=True)

    def _milliseconds(self) -> float:
        return round((time.perf_counter() - self._begun) * 1000, 2)


def _shown(path: str) -> str:
    """For the log. On open paths a secret may follow: a link's, or what proves a webhook by its path."""
    if path.startswith("/webhooks/"):
        _, tree, name, *rest = path.split("/")
        return f"/{tree}/{name[:180]}{'/…' if rest else ''}"
    return "/connect/…" if path.startswith("/connect/") else path[:200]


def request_id_of(scope: Scope) -> str:
    """The client's id if it can't harm a log, a header or a database; else a new one."""
    given = _header(scope, b"x-request-id")
    if given is not None and _HARMLESS.match(given):
        return given.decode("ascii")
    return f"api-{UUID(int=_dice.getrandbits(128), version=4)}"


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
