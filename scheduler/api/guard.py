"""Who may pass? Whoever shows a valid token; strangers get the same answer for every path but the open ones.

Before anything of the request is read or looked up, so that a stranger learns neither which routes there are nor which
names. What somebody may do once inside is said by each route (`scheduler.api.who`).
"""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.access.principal import Principal
from scheduler.api.problems import Unauthorized, answer_to
from scheduler.api.who import PRINCIPAL
from worker.errors import HeadraceError

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Named one by one: a route that nobody thought of is closed."""
OPEN_TREES = ("/webhooks/", "/connect/")
"""Where something else than a token is asked for: a signature, a link's own secret."""

Find = Callable[[str, str | None], Principal | None]


class Guard:
    """Stands before all routes. `find` tells who shows this token from this address."""

    def __init__(self, app: ASGIApp, *, find: Find) -> None:
        self._app = app
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_open(scope["path"]):
            try:
                who = await self._who(scope)
            except HeadraceError as error:
                await answer_to(Request(scope), error)(scope, receive, send)
                return
            scope.setdefault("state", {})[PRINCIPAL] = who
        await self._app(scope, receive, send)

    async def _who(self, scope: Scope) -> Principal:
        given = [value for key, value in scope["headers"] if key == b"authorization"]
        if len(given) != 1:
            raise Unauthorized
        scheme, _, token = given[0].partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthorized
        client = scope.get("client")
        who = await run_in_threadpool(
            self._find, token.strip().decode("latin-1"), client[0] if client else None
        )
        if who is None:
            raise Unauthorized
        return who


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_TREES)
