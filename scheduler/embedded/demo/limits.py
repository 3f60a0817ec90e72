"""May this request be answered, by the sliding window of its token?

Exact: in no window of `per` seconds are more than `requests` admitted, counted at arrival. What is refused doesn't
count. Every arrival is written down, so that a test can prove that a client kept the limit.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

KEPT_ARRIVALS = 200_000
ROUNDING = 1e-6
"""Seconds: more than a sum of times can lose, so that the whole seconds told are never too few."""


@dataclass(frozen=True, slots=True)
class Verdict:
    admitted: bool
    limit: int
    remaining: int
    free_at: float
    """When the oldest of the window leaves it, in seconds since 1970: the next moment at which there is more room."""

    def headers(self, now: float) -> Mapping[str, str]:
        """`X-RateLimit-Reset` in seconds since 1970. Both are rounded up: who obeys them is never refused again."""
        if self.limit == 0:
            return {}
        told = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.free_at)),
        }
        if not self.admitted:
            told["Retry-After"] = str(max(1, math.ceil(self.free_at - now + ROUNDING)))
        return told


@dataclass(frozen=True, slots=True)
class Arrival:
    at: float
    token: int
    """Which of the tokens, by its place; never the token."""
    admitted: bool


@dataclass(slots=True)
class Limiter:
    """`requests` in `per` seconds for each token; 0 is without a limit."""

    requests: int
    per: float
    _windows: dict[int, deque[float]] = field(default_factory=dict)
    _arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))

    def arrive(self, token: int, now: float) -> Verdict:
        window = self._windows.setdefault(token, deque())
        while window and now >= window[0] + self.per:
            window.popleft()
        admitted = self.requests == 0 or len(window) < self.requests
        if admitted and self.requests:
            window.append(now)
        self._arrivals.append(Arrival(now, token, admitted))
        remaining = max(0, self.requests - len(window))
        free_at = window[max(0, len(window) - self.requests)] + self.per if window else now
        return Verdict(admitted, self.requests, remaining, free_at)

    def change(self, requests: int, per: float) -> None:
        """A new limit begins with empty windows."""
        self.requests, self.per = requests, per
        self._windows.clear()

    def arrivals(self) -> Iterator[Arrival]:
        return iter(self._arrivals)

    def forget_arrivals(self) -> None:
        self._arrivals.clear()
