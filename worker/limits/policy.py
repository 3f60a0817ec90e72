"""May this request go now, when else, and what did the system say about waiting? Pure: plain data in, plain data out.

The rate is kept by GCRA: one number per account, `tat`, the time at which all that was granted would be paid off at the
even pace. `step` is the whole rule, and `take.lua` says the same in Valkey. Times in here are whole microseconds since
1970 on Valkey's clock, because floats would round and Lua's numbers are exact only below 2**53.

Promise: at most `requests` (by cost) are granted in any window of `per` seconds, whenever they are asked for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import isfinite

from worker.errors import InvalidInput

SECOND = 1_000_000
LONGEST_WAIT = 30 * SECOND
"""No caller reserves further ahead than this, whatever `short_wait` is."""
LONGEST_PERIOD = 366 * 86_400.0
LONGEST_HOLD = 86_400.0
BACKFILL = 4
"""The lane of history and sweeps; those before it are write, webhook, on demand, scheduled (0 to 3)."""
SLOWDOWN = 4
"""Without Valkey each process paces itself this much slower: four of them together still keep the limit."""

_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget that a manifest or a connection's settings give an account. None: not limited."""

    requests: int | None = None
    """At most this many requests in any window of `per` seconds."""
    per: float = 60.0
    burst: int = 1
    """How many may leave at once after a pause."""
    concurrency: int | None = None
    """At most this many requests under way at a time."""

    def __post_init__(self) -> None:
        wrong = next((name for name, good in self._checks() if not good), None)
        if wrong is not None:
            raise InvalidInput(
                "bad_limits",
                f"The limit `{wrong}` is {getattr(self, wrong)!r}, which can't be kept.",
                hint="requests, burst and concurrency are whole numbers from 1; per is in seconds, up to a year.",
            )

    def _checks(self) -> tuple[tuple[str, bool], ...]:
        return (
            ("requests", self.requests is None or 1 <= self.requests <= 10**9),
            ("per", isfinite(self.per) and 0.001 <= self.per <= LONGEST_PERIOD),
            ("burst", 1 <= self.burst <= 10**9),
            ("concurrency", self.concurrency is None or 1 <= self.concurrency <= 10**6),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is, for rules that count only some of an account's requests. Empty: unknown, or none."""

    connection: str = ""
    stream: str = ""
    method: str = "GET"
    path: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """Limits as GCRA wants them: one request each `interval`, and up to `burst` at once after a pause."""

    interval: int
    burst: int
    requests: int

    @property
    def horizon(self) -> int:
        """`tat` can't be further ahead than this: if it is, the clock was set back or the limits were changed."""
        return LONGEST_WAIT + self.requests * self.interval


class Verdict(StrEnum):
    """What becomes of one question to the budget."""

    GRANTED = "granted"
    TOO_EARLY = "too_early"  # the rate allows it only later than the caller can wait
    HELD = "held"  # the system told us to stay away
    NO_SLOT = "no_slot"  # as many are under way as may be
    PROBING = "probing"  # a hold has ended, and one request is trying whether the system answers


@dataclass(frozen=True, slots=True)
class Answer:
    """The budget's answer. `at` is when the request may leave; all times on the clock that `now` was read from."""

    verdict: Verdict
    at: int
    now: int
    tat: int
    hold: int = 0
    leased: bool = False
    """Something is to be given back afterwards."""
    reason: str = ""
    """Why the account is held, where it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one GCRA step; a refusal leaves `tat` as it was (within the horizon)."""

    granted: bool
    at: int
    tat: int


def rate_of(limits: Limits) -> Rate | None:
    """The pace that keeps the limits in every window, not only on average.

    Between the first and the last of k grants lie at least (k - burst) intervals. With an interval of
    per / (requests - burst), requests + 1 grants are more than a window apart, with an interval to spare for the network.
    """
    if limits.requests is None:
        return None
    period = int(limits.per * SECOND)
    burst = max(1, min(limits.burst, limits.requests - 1))
    paced = max(1, limits.requests - burst)
    return Rate(interval=period // paced + 1, burst=burst, requests=limits.requests)


def slowed(limits: Limits) -> Rate | None:
    """The pace of a process that can't see what the others do: a quarter, and never two at once.

    A window may hold one more than its length in intervals, for each of the four: the rate is a little less for it.
    """
    if limits.requests is None:
        return None
    period = int(limits.per * SECOND)
    interval = SLOWDOWN * period // max(1, limits.requests - SLOWDOWN) + 1
    return Rate(interval=interval, burst=1, requests=limits.requests)


def payback(limits: Limits) -> int:
    """How long after a burst the account is as good as new; 0 without a rate."""
    rate = rate_of(limits)
    return 0 if rate is None else rate.burst * rate.interval


def step(tat: int, now: int, rate: Rate, *, cost: int, max_wait: int, hold: int = 0) -> Step:
    """Grant `cost` requests at the earliest time that rate and hold allow, if that is within `max_wait`."""
    bounded = min(tat, now + rate.horizon)
    at = max(now, hold, bounded + (cost - rate.burst) * rate.interval)
    if at - now > max_wait:
        return Step(granted=False, at=at, tat=bounded)
    return Step(granted=True, at=at, tat=max(bounded, at) + cost * rate.interval)


def payable(cost: int, limits: Limits) -> int:
    """The cost, but never more than a window can hold: a dearer request would wait for ever."""
    return max(1, cost if limits.requests is None else min(cost, limits.requests))


def reach(short_wait: float, lane: int) -> float:
    """How long this lane may wait. Backfill reserves half as far ahead, so others always find room before it."""
    longest = min(max(0.0, short_wait), LONGEST_WAIT / SECOND)
    return longest / 2 if lane >= BACKFILL else longest


def spread(wait: float, dice: float) -> float:
    """Seconds to add to a refusal's time, so that all who are refused at once don't come back at once."""
    return dice * min(max(0.5, wait / 10), 10.0)


def held_for(seconds: float) -> int:
    """A hold's length in microseconds: at least a second, at most a day, whatever the system said."""
    return int(min(max(1.0, seconds if seconds == seconds else 1.0), LONGEST_HOLD) * SECOND)  # noqa: PLR0124 - NaN


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for (a number or an HTTP date), between a second and an hour; None: it doesn't."""
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "").strip()
    if _SECONDS.fullmatch(value):
        return _clamp(float(value))
    try:
        when = parsedate_to_datetime(value)
        return _clamp(((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _clamp(seconds: float) -> float:
    return min(max(1.0, seconds), 3600.0)
