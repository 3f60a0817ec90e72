"""How often may one token ask? So many requests a minute of each process, as a bucket that fills evenly.

Every answer says what is left (`RateLimit`, `RateLimit-Policy`, as the IETF's draft has them), and a 429 when to come
again. A waiting request counts once, however long it waits. Whom the guard doesn't let in is told so of the tries that
their address has.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.access.principal import Principal
from scheduler.api.problems import problem
from scheduler.api.who import PRINCIPAL

LIMIT = "limit"
"""Where in `request.state` the frame finds the headers of the limit that a request fell under: it writes them on any answer."""
WINDOW = 60
MOST_TOKENS = 10_000
"""Those not seen for longest are forgotten: they begin with a full bucket."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a token may still do."""

    allowed: bool
    remaining: int
    full_in: int
    """Seconds until all is there again."""
    wait: int
    """Seconds until one more is allowed; 0: now."""


def headers_of(policy: str, quota: int, window: int, remaining: int, full_in: int) -> dict[str, str]:
    """So many in so many seconds; so many are left, and all are there again in so many seconds."""
    return {
        "RateLimit-Policy": f'"{policy}";q={quota};w={window}',
        "RateLimit": f'"{policy}";r={remaining};t={full_in}',
    }


class Rates:
    """The bucket of each token, in one process and one thread: the event loop's."""

    def __init__(self, quota: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.quota = quota
        self._clock = clock
        self._full_at: OrderedDict[UUID, float] = OrderedDict()

    def take(self, token: UUID) -> Left:
        """Take one, if there is one."""
        now, each = self._clock(), WINDOW / self.quota
        full_at = max(self._full_at.get(token, now), now)
        allowed = full_at + each - now <= WINDOW + 1e-9
        if allowed:
            full_at += each
            self._full_at[token] = full_at
            self._full_at.move_to_end(token)
            if len(self._full_at) > MOST_TOKENS:
                self._full_at.popitem(last=False)
        missing = full_at - now
        remaining = max(0, math.floor((WINDOW - missing) / each + 1e-6))
        wait = 0 if remaining else max(1, math.ceil(missing + each - WINDOW))
        return Left(allowed, remaining, math.ceil(missing), wait)


class RateLimit:
    """Stands behind the guard. Who has no token is held by the guard."""

    def __init__(self, app: ASGIApp, *, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        who: Principal | None = scope.get("state", {}).get(PRINCIPAL)
        if scope["type"] != "http" or who is None:
            await self._app(scope, receive, send)
            return
        left = self._rates.take(who.token_id)
        scope["state"][LIMIT] = headers_of("token", self._rates.quota, WINDOW, left.remaining, left.full_in)
        if left.allowed:
            await self._app(scope, receive, send)
            return
        words = f"This token may ask {self._rates.quota:,} times a minute."
        answer = problem(Request(scope), 429, "too_many_requests", words, hint=f"Try again in {left.wait} s.")
        answer.headers["Retry-After"] = str(left.wait)
        await answer(scope, receive, send)
