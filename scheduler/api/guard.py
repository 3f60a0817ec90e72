"""Who may pass? Whoever shows a valid token; strangers get the same answer for every path but the open ones.

Before anything of the request is read or looked up, so that a stranger learns neither which routes there are nor which
names. A browser shows the cookie of its session instead, which counts for a change only where a page of ours sends it.
What somebody may do once inside is said by each route (`scheduler.api.who`). Emits: guessing_held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.access.allowed import NotAllowed
from scheduler.access.door.cookies import SAFE, is_ours, session_of
from scheduler.access.door.guessing import EACH, TRIES, Guessing, Kind
from scheduler.access.door.paths import is_local
from scheduler.access.door.sessions import digest_of_session
from scheduler.access.door.sources import Network, neighbourhood, source_of
from scheduler.access.principal import Principal
from scheduler.access.tokens import digest_of, environment_of
from scheduler.api.around.rates import LIMIT, headers_of
from scheduler.api.problems import Unauthorized, answer_to, problem
from scheduler.api.who import PRINCIPAL, SESSION, SOURCE
from worker.errors import HeadraceError

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login"})
"""Named one by one: a route that nobody thought of is closed."""
OPEN_TREES = ("/webhooks/", "/connect/")
"""Where something else than a token is asked for: a signature, a link's own secret."""

ADMIT = "admit"
"""Where in `request.state` the page finds it on which people log in: who shows this token?"""

Find = Callable[[str, str | None], Principal | None]
Count = Callable[[str, float], float | None]
"""One more wrong token of an address, at all processes: seconds until all its tries are back; None: nobody knows."""

log = structlog.get_logger()


class TooManyGuesses(HeadraceError):
    """Somebody at this address was wrong too often."""

    def __init__(self, wait: int) -> None:
        super().__init__(
            "too_many_guesses",
            "Too many requests with a wrong token came from this address.",
            hint=f"Try again in {wait} s.",
        )
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of whoever sends it; no value: nothing that can be looked up."""

    kind: Kind
    value: str | None


class Guard:
    """Stands before all routes. `find` tells who shows this token from this address, `find_session` the same of a cookie."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        find: Find,
        find_session: Find = lambda _value, _source: None,
        trusted: Sequence[Network] = (),
        public_url: str | None = None,
        guessing: Guessing | None = None,
        count: Count | None = None,
    ) -> None:
        self._app = app
        self._find = find
        self._find_session = find_session
        self._trusted = trusted
        self._public_url = public_url
        self._guessing = guessing or Guessing()
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        state = scope.setdefault("state", {})
        source = source_of(client[0] if client else None, _headers(scope, b"x-forwarded-for"), self._trusted)
        state[SOURCE] = source
        if is_open(scope["path"]):
            state[ADMIT] = partial(self._by_token, source)
            await self._app(scope, receive, send)
            return
        shown = _shown(scope)
        try:
            who = await self._who(scope, source, shown)
        except HeadraceError as error:
            left, full_in = self._guessing.left(source, shown.kind)
            state[LIMIT] = headers_of("guesses", TRIES, round(TRIES * EACH), left, full_in)
            await _refusal(scope, error)(scope, receive, send)
            return
        state[PRINCIPAL] = who
        await self._app(scope, receive, partial(_warned, send, who.warning) if who.warning else send)

    async def _who(self, scope: Scope, source: str | None, shown: Shown) -> Principal:
        if shown.value is None:
            raise Unauthorized
        if shown.kind is Kind.SESSION:
            return await self._by_session(scope, source, shown.value)
        return await self._by_token(source, shown.value)

    async def _by_token(self, source: str | None, token: str) -> Principal:
        return await self._look(self._find, token, source, _kind_of(token), digest_of(token))

    async def _by_session(self, scope: Scope, source: str | None, value: str) -> Principal:
        who = await self._look(self._find_session, value, source, Kind.SESSION, digest_of_session(value))
        origins, host = _headers(scope, b"origin"), _host(scope)
        if scope["method"] not in SAFE and not is_ours(origins, host, self._public_url):
            raise NotAllowed(
                "cross_site",
                "A session changes something only from a page of this Headrace.",
                hint="Programs send `Authorization: Bearer <token>` instead of a cookie.",
            )
        scope["state"][SESSION] = value
        return who

    async def _look(self, find: Find, value: str, source: str | None, kind: Kind, digest: bytes) -> Principal:
        _hold(self._guessing.take(source, kind, digest), source, kind)
        if kind is Kind.MALFORMED:  # nobody looks, so nobody can be right
            raise Unauthorized
        who = await run_in_threadpool(find, value, source)
        if who is not None:
            self._guessing.was_right(source, kind, digest)
            return who
        self._guessing.was_wrong(source, kind, digest)
        if self._count is not None:
            used = await run_in_threadpool(self._count, f"{kind}:{neighbourhood(source)}", EACH)
            _hold(0 if used is None else self._guessing.heard(source, kind, used), source, kind)
        raise Unauthorized


def _hold(wait: int, source: str | None, kind: Kind) -> None:
    if wait:
        log.warning("guessing_held", source=source, kind=kind, wait=wait)
        raise TooManyGuesses(wait)


def _shown(scope: Scope) -> Shown:
    given = _headers(scope, b"authorization")
    if not given:
        value = session_of(_headers(scope, b"cookie"), _host(scope))
        return Shown(Kind.TOKEN if value is None else Kind.SESSION, value)
    scheme, _, rest = given[0].partition(" ")
    if len(given) != 1 or scheme.lower() != "bearer":
        return Shown(Kind.TOKEN, None)
    token = rest.strip()
    return Shown(_kind_of(token), token)


def _kind_of(token: str) -> Kind:
    return Kind.MALFORMED if environment_of(token) is None else Kind.TOKEN


def _refusal(scope: Scope, error: HeadraceError) -> Response:
    if isinstance(error, TooManyGuesses):
        answer = problem(Request(scope), 429, error.code, error.message, hint=error.hint)
        answer.headers["Retry-After"] = str(error.wait)
        return answer
    if isinstance(error, Unauthorized) and _is_browser(scope):
        return _to_login(scope)
    return answer_to(Request(scope), error)


def is_open(path: str) -> bool:
    """Whether nobody needs a token there."""
    return path in OPEN_PATHS or path.startswith(OPEN_TREES)


async def _warned(send: Send, warning: str, message: Message) -> None:
    """Every answer tells whoever reads headers that the token wants looking after."""
    if message["type"] == "http.response.start":
        MutableHeaders(scope=message)["X-Token-Warning"] = warning
    await send(message)


def _is_browser(scope: Scope) -> bool:
    """A person looks at a page, and shows nothing: they are asked for a token, whatever they look for."""
    asked = ",".join(_headers(scope, b"accept"))
    return scope["method"] == "GET" and "text/html" in asked and not _headers(scope, b"authorization")


def _to_login(scope: Scope) -> Response:
    onward = quote(scope["path"], safe="/")
    return RedirectResponse(
        f"/login?next={quote(onward, safe='/')}" if is_local(onward) else "/login", status_code=303
    )


def _host(scope: Scope) -> str:
    return next(iter(_headers(scope, b"host")), "")


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
