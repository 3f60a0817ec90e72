"""What may an account do, and who asks? Pure: plain data in, plain data out. How fast that is, `pace` says.

Times in here are whole microseconds since 1970 on Valkey's clock, because floats would round and Lua's numbers are exact
only below 2**53.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache
from math import isfinite
from typing import Literal, NamedTuple

from worker.errors import InvalidInput
from worker.limits.headers import LimitHeaders

SECOND = 1_000_000
LONGEST_WAIT = 30 * SECOND
"""No caller reserves further ahead than this, whatever `short_wait` is."""
LONGEST_PERIOD = 366 * 86_400.0
LONGEST_HOLD = 86_400.0
BACKFILL = 4
"""The lane of history and sweeps; those before it are write, webhook, on demand, scheduled (0 to 3)."""
REACH = (1.0, 0.9, 0.8, 0.65, 0.5)
"""How much of `short_wait` each lane may reserve ahead: who comes before always finds room before those who come after."""
PATIENCE = 1.5
"""A lane or connection that was passed over for long may reserve this much further than anybody else."""

_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit: requests in any window of `per` seconds, or requests under way, or a quota of a day or month."""

    requests: int | None = None
    per: float = 60.0
    burst: int = 1
    """How many may leave at once after a pause."""
    concurrency: int | None = None
    quota: int | None = None
    period: Literal["day", "month"] = "day"
    """What a quota is for; it begins at `resets` (HH:MM) in `timezone`, a month on its first day."""
    resets: str = "00:00"
    timezone: str = "UTC"
    of: Literal["account", "connection"] = "account"
    """Whose requests are counted together."""
    methods: tuple[str, ...] = ()
    """Only requests of these methods; empty: of all. So for streams and paths; `*` in a path stands for anything."""
    streams: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self, _sound(self))

    @property
    def selects(self) -> tuple[object, ...]:
        """Rules that select the same requests count in one place."""
        return (self.of, self.methods, self.streams, self.paths)

    def counts(self, call: "Call") -> bool:
        """Whether such a request is among those that are counted."""
        return (
            (not self.methods or call.method.upper() in self.methods)
            and (not self.streams or call.stream in self.streams)
            and (not self.paths or any(_pattern(path).match(call.path) for path in self.paths))
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget that a manifest gives an account: one limit as before, and any number of `rules` beside it."""

    requests: int | None = None
    """At most this many requests in any window of `per` seconds. None: not limited."""
    per: float = 60.0
    burst: int = 1
    """How many may leave at once after a pause."""
    concurrency: int | None = None
    """At most this many requests under way at a time."""
    rules: tuple[Rule, ...] = ()
    headers: LimitHeaders | None = None
    """By which headers the system says what is left, besides the usual ones."""
    _hash: int = field(default=0, init=False, repr=False, compare=False)
    _every: tuple[Rule, ...] = field(default=(), init=False, repr=False, compare=False)
    _selective: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self, _sound(self))
        own = Rule(requests=self.requests, per=self.per, burst=self.burst, concurrency=self.concurrency)
        limited = self.requests is not None or self.concurrency is not None
        every = (own, *self.rules) if limited else self.rules
        object.__setattr__(self, "_every", every)
        object.__setattr__(self, "_hash", hash(every))
        object.__setattr__(self, "_selective", any(rule.selects[1:] != ((), (), ()) for rule in every))

    def __hash__(self) -> int:
        """Reckoned once: each request looks its limits up."""
        return self._hash

    def all_rules(self) -> tuple[Rule, ...]:
        """Every limit in one form."""
        return self._every

    def choose(self, call: "Call") -> tuple[int, ...] | None:
        """The places of the rules that count this request, among all; None: every one does."""
        if not self._selective:
            return None
        return tuple(n for n, rule in enumerate(self._every) if rule.counts(call))

    def chosen(self, places: tuple[int, ...] | None) -> tuple[Rule, ...]:
        """The rules at these places."""
        return self._every if places is None else tuple(self._every[place] for place in places)


class Call(NamedTuple):
    """What a request is, for rules that count only some of an account's requests. Empty: unknown, or none."""

    connection: str = ""
    stream: str = ""
    method: str = "GET"
    path: str = ""


class Verdict(StrEnum):
    """What becomes of one question to the budget."""

    GRANTED = "granted"
    TOO_EARLY = "too_early"  # the rate allows it only later than the caller can wait
    HELD = "held"  # the system told us to stay away
    NO_SLOT = "no_slot"  # as many are under way as may be
    PROBING = "probing"  # a hold has ended, and a few requests are trying whether the system answers
    AGAIN = "again"  # a narrow limit allows it soon; nothing is reserved, or the wide one would wait with it
    REFILL = "refill"  # a block of a quota is used up, and this caller may fetch the next one


class Answer(NamedTuple):
    """The budget's answer. `at` is when the request may leave; all times on the clock that `now` was read from."""

    verdict: Verdict
    at: int
    now: int
    place: int = 0
    """Of a refusal: when to come again, with those counted who were refused before."""
    slots: int = 0
    """Which scopes gave a slot that is to be given back, as bits."""
    trials: int = 0
    """In which scopes the request tries whether the system answers again."""
    reason: str = ""
    """Why the account is held, where it is; or which quota wants a block."""

    @property
    def leased(self) -> bool:
        """Something is to be given back afterwards."""
        return bool(self.slots)


def reach(short_wait: float, lane: int) -> float:
    """How long this lane may wait: the less urgent, the shorter, so others always find room before it."""
    longest = min(max(0.0, short_wait), LONGEST_WAIT / SECOND)
    return longest * REACH[min(max(lane, 0), BACKFILL)]


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


def by_scope(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules that count the same requests together; the account's own first, as all others lie inside it."""
    scopes: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rules:
        scopes.setdefault(rule.selects, []).append(rule)
    return [scopes[selects] for selects in sorted(scopes, key=_narrowness)]


def _narrowness(selects: tuple[object, ...]) -> tuple[bool, int]:
    return selects[0] == "connection", sum(bool(part) for part in selects[1:])


@lru_cache(maxsize=1000)
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(translate(path))


def _sound(limit: Rule | Limits) -> Iterator[tuple[str, bool]]:
    yield "requests", limit.requests is None or 1 <= limit.requests <= 10**9
    yield "per", isfinite(limit.per) and 0.001 <= limit.per <= LONGEST_PERIOD
    yield "burst", 1 <= limit.burst <= 10**9
    yield "concurrency", limit.concurrency is None or 1 <= limit.concurrency <= 10**6
    if isinstance(limit, Rule):
        yield "quota", limit.quota is None or 1 <= limit.quota <= 10**12
        yield "resets", _CLOCK.fullmatch(limit.resets) is not None


def _check(limit: Rule | Limits, sound: Iterator[tuple[str, bool]]) -> None:
    wrong = next((name for name, good in sound if not good), None)
    if wrong is not None:
        raise InvalidInput(
            "bad_limits",
            f"The limit `{wrong}` is {getattr(limit, wrong)!r}, which can't be kept.",
            hint="requests, burst, concurrency and quota are whole numbers from 1; per is in seconds, up to a year.",
        )
