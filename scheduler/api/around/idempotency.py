"""Is this a request that came before? A POST with an `Idempotency-Key` does its work once, and is answered the same twice.

Only what was done is kept (2xx): of what was refused or went wrong nothing was done, and the key may be tried again. The
answer is kept before the client has it, so whoever asks again after a cut gets it. An answer with a secret in it isn't
kept: asked again, the client is told that it was done, and no more. Emits: answer_not_kept.
"""

import asyncio
import hashlib
import re
from contextlib import suppress

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.access.principal import Principal
from scheduler.access.repeats.keys import Claim, InFlight, Kept, Keys
from scheduler.api.problems import answer_to, problem
from scheduler.api.who import PRINCIPAL
from worker.errors import HeadraceError, InvalidInput

HEADER = b"idempotency-key"
SECRET = "answer_is_secret"  # noqa: S105 - the name of a flag
MOST_KEPT = 1024 * 1024
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_TOKEN = re.compile(rb"hr_(live|test)_[0-9A-Za-z]{28}")
_KEPT_HEADERS = ("content-type", "location", "etag")

log = structlog.get_logger()


def keep_no_answer(request: Request) -> None:
    """A route says that its answer holds something that is shown once, and must be stored nowhere."""
    setattr(request.state, SECRET, True)


class Idempotency:
    """Stands behind the guard: a key belongs to the token that sent it."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        who: Principal | None = scope.get("state", {}).get(PRINCIPAL)
        if scope["type"] != "http" or scope["method"] != "POST" or who is None or not _given(scope):
            await self._app(scope, receive, send)
            return
        try:
            key = _key(scope)
            body = await _read(receive)
            if body is None:
                return
            found = await run_in_threadpool(self._keys.claim, who.token_id, key, _digest(scope, body))
        except HeadraceError as error:
            await _refusal(scope, error)(scope, receive, send)
            return
        if isinstance(found, Kept):
            await _repeat(scope, receive, send, found)
        else:
            await self._carry_out(found, scope, _Again(body, receive), send)

    async def _carry_out(self, claim: Claim, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Caught()
        renewing = asyncio.create_task(self._renew(claim))
        try:
            await self._app(scope, receive, answer)
        except Exception:
            await self._let_go(claim)
            raise
        finally:
            renewing.cancel()
        if 200 <= answer.status < 300:
            await self._keep(claim, answer.kept(secret=scope["state"].get(SECRET, False)))
        else:
            await self._let_go(claim)
        for message in answer.messages:
            await send(message)

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._keys.lease / 3)
            with suppress(HeadraceError):  # it may still be there the next time
                await run_in_threadpool(self._keys.renew, claim)

    async def _keep(self, claim: Claim, kept: Kept) -> None:
        """What was done is done: where it can't be kept, the client has its answer all the same."""
        try:
            await run_in_threadpool(self._keys.finish, claim, kept)
        except HeadraceError as error:
            log.warning("answer_not_kept", code=error.code)

    async def _let_go(self, claim: Claim) -> None:
        with suppress(HeadraceError):  # its lease ends by itself
            await run_in_threadpool(self._keys.release, claim)


class _Caught:
    """An answer, held back until it is kept."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.messages.append(message)

    def kept(self, *, secret: bool) -> Kept:
        headers = MutableHeaders(scope=self.messages[0])
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        hidden = secret or "set-cookie" in headers or _TOKEN.search(body) or len(body) > MOST_KEPT
        named = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        return Kept(self.status, named, None if hidden else body)


class _Again:
    """The body, which was read already, for the route to read."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _read(receive: Receive) -> bytes | None:
    """All of the body, as the frame lets it through; None: the client has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _given(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == HEADER]


def _key(scope: Scope) -> str:
    values = _given(scope)
    text = values[0].decode("latin-1")
    if len(values) != 1 or not _KEY.match(text):
        raise InvalidInput(
            "bad_idempotency_key",
            "An Idempotency-Key is 1 to 255 printable ASCII characters without a space.",
            place="header.Idempotency-Key",
            hint="A random UUID is a good one.",
        )
    return text


def _digest(scope: Scope, body: bytes) -> bytes:
    """What the request asks for: its place, its parameters, its body."""
    digest = hashlib.sha256()
    for part in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _refusal(scope: Scope, error: HeadraceError) -> ASGIApp:
    answer = answer_to(Request(scope), error)
    if isinstance(error, InFlight):
        answer.headers["Retry-After"] = str(min(error.seconds, 5))
    return answer


async def _repeat(scope: Scope, receive: Receive, send: Send, kept: Kept) -> None:
    """The same answer once more."""
    if kept.body is None:
        words = "This was done already, and its answer held something that is shown once."
        answer = problem(
            Request(scope),
            409,
            "answer_shown_once",
            words,
            hint="Look at what it made; make another if its secret is lost.",
        )
        answer.headers.update({name: value for name, value in kept.headers.items() if name == "location"})
        await answer(scope, receive, send)
        return
    headers = [(name.encode(), value.encode("latin-1")) for name, value in kept.headers.items()]
    headers += [(b"content-length", str(len(kept.body)).encode()), (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body})
