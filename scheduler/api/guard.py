"""Who may pass? Whoever shows the bootstrap token; strangers get the same answer for every path but the open ones.

Before anything of the request is read or looked up, so that a stranger learns neither which routes there are nor which
names.
"""

import hashlib
import hmac

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.problems import Unauthorized, problem

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Named one by one: a route that nobody thought of is closed."""


class Guard:
    """Stands before all routes."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._digest = _digest(token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not self._may_pass(scope):
            error = Unauthorized()
            answer = problem(Request(scope), 401, error.code, error.message, hint=error.hint)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        """One header, compared in constant time; the digests make lengths equal."""
        given = [value for key, value in scope["headers"] if key == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(_digest(token.strip()), self._digest)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
