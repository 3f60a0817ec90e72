"""What is asked of Valkey for one kind of request? Everything that doesn't change between two requests is made once.

A scope is a set of requests that are counted together: the account's own, and those that narrower rules of its limits
select. Each has a hash and a set of slots in Valkey; all of an account lie in one hash slot of a cluster.
"""

from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import NamedTuple
from urllib.parse import quote

from worker.limits.pace import RESERVE, Pace, pace_of, slots_of
from worker.limits.policy import LONGEST_WAIT, PATIENCE, SECOND, Limits, Rule, by_scope, reach
from worker.limits.quotas.quota import counted_for_good, kept_for, most_at_once, period_of
from worker.limits.valkey.wire import packed

PREFIX = "headrace:budget:"
EPOCH = f"{PREFIX}epoch"
DYNAMIC = 9
"""Arguments between the two, from the cost on."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One place where requests are counted."""

    key: str
    rules: tuple[Rule, ...]

    @property
    def slots(self) -> str:
        return f"{self.key}:slots"


class Asked(NamedTuple):
    """One kind of request: whose, under which limits, and how urgent."""

    account: str
    limits: Limits
    lane: int = 3
    connection: str = ""
    chosen: tuple[int, ...] | None = None
    """Which of the limits' rules count it."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.limits.chosen(self.chosen)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long this process waits and holds, in microseconds: part of every question."""

    short_wait: int
    lease: int
    stored: bool
    """Quotas and long windows are counted in Postgres, and not in Valkey alone."""

    @property
    def furthest(self) -> int:
        """No grant lies further ahead."""
        return int(self.short_wait * PATIENCE)


@dataclass(frozen=True, slots=True)
class Question:
    """What stands before and after the arguments that differ from one request to the next."""

    asked: Asked
    scopes: tuple[Scope, ...]
    head: bytes
    tail: bytes
    slots: int
    """The fewest requests under way that a rule allows; 0: any number."""
    quotas: tuple[tuple[Rule, ...], ...]
    """By scope: the rules that are counted for good."""
    good_until: int | None
    """When the first of the quotas' periods ends; None: there are none."""


def key_of(account: str) -> str:
    """The account's hash. Quoted, so that a brace in a name can't spoil the hash tag; long names are hashed."""
    name = quote(account, safe="@:/", errors="surrogatepass") or "%"
    if len(name) > 200:
        name = "%" + sha256(name.encode()).hexdigest()
    return f"{PREFIX}{{{name}}}"


def scopes_of(asked: Asked) -> tuple[Scope, ...]:
    """Where a request counts, the account's own scope first: holds apply there, whatever is limited."""
    own: tuple[Rule, ...] = ()
    key, narrower = key_of(asked.account), []
    for rules in by_scope(asked.rules):
        if rules[0].selects == Rule().selects:
            own = tuple(rules)
            continue
        about = repr((rules[0].selects, asked.connection if rules[0].of == "connection" else ""))
        name = blake2b(about.encode(errors="replace"), digest_size=8).hexdigest()
        narrower.append(Scope(f"{key}:{name}", tuple(rules)))
    return (Scope(key, own), *narrower)


def question(sha: str, asked: Asked, patience: Patience, now: int) -> Question:
    """The command for such requests, less its dynamic arguments."""
    scopes = scopes_of(asked)
    quotas = tuple(
        tuple(rule for rule in scope.rules if patience.stored and counted_for_good(rule)) for scope in scopes
    )
    tail = [
        argument
        for scope, stored in zip(scopes, quotas, strict=True)
        for argument in _shape(scope, stored, asked.lane, now, patience.lease)
    ]
    waits = int(reach(patience.short_wait / SECOND, asked.lane) * SECOND)
    keys = [scope.key for scope in scopes]
    fixed = [
        asked.lane,
        asked.connection,
        patience.lease,
        patience.furthest,
        patience.furthest - waits,
    ]
    parts = ["EVALSHA", sha, len(keys), *keys, *fixed]
    count = len(parts) + DYNAMIC + len(tail)
    periods = [period_of(rule, now)[1] for stored in quotas for rule in stored if rule.quota]
    return Question(
        asked=asked,
        scopes=scopes,
        head=b"*%d\r\n" % count + packed([_bytes(part) for part in parts]),
        tail=packed([_bytes(argument) for argument in tail]),
        slots=min((rule.concurrency for rule in asked.rules if rule.concurrency), default=0),
        quotas=quotas,
        good_until=min(periods, default=None),
    )


def formatted(windows: int, quotas: int) -> str:
    """How a scope's numbers are packed."""
    return "<" + "d" * (2 + 2 * windows + 4 * quotas)


def _shape(scope: Scope, stored: tuple[Rule, ...], lane: int, now: int, lease: int) -> list[object]:
    rules = [rule for rule in scope.rules if rule not in stored]
    paces = [pace for rule in rules if (pace := pace_of(rule, lane)) is not None]
    full = [pace for rule in rules if (pace := pace_of(rule)) is not None]
    slots, left = slots_of(scope.rules, lane)
    keep = max(
        int(LONGEST_WAIT * PATIENCE),
        lease,
        *(pace.horizon + pace.period for pace in full),
        *map(kept_for, stored),
    )
    about = repr([(pace.interval, pace.period, pace.block, pace.burst) for pace in full]) + repr(stored)
    shape = ":" + blake2b(about.encode(), digest_size=6).hexdigest()
    head = [shape, formatted(len(paces), len(stored)), keep, slots, left, len(paces), len(stored)]
    windows = [number for place, pace in enumerate(paces) for number in _window(place, pace)]
    return [*head, *windows, *(number for rule in stored for number in _quota(rule, lane, now))]


def _quota(rule: Rule, lane: int, now: int) -> tuple[int, int]:
    if rule.quota is None:
        return 0, 0  # a window has no share to leave: Postgres says when it is full
    return period_of(rule, now)[1], most_at_once(rule, RESERVE[lane])


def _window(place: int, pace: Pace) -> list[int | str]:
    return [
        pace.interval,
        pace.burst,
        pace.assumed,
        pace.horizon,
        pace.period,
        pace.block,
        pace.blocks,
        pace.reserve,
        f":w{place}",
    ]


def _bytes(part: object) -> bytes:
    return str(part).encode(errors="surrogatepass")
