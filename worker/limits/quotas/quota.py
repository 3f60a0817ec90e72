"""What of an account's limits outlives Valkey: quotas of a day or month, and long windows. Which, and in what pieces? Pure.

They are counted in Postgres, in blocks: whoever finds the block in Valkey used up fetches the next, and all workers hand
it out request by request. So no request costs a commit, a crash of anything loses at most the rest of a block, and the
quota is never exceeded. `stored` fetches; `lending` says when a window has another block.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from worker.limits.policy import SECOND, Rule

LONG_WINDOW = 600.0
FEWEST_IN_BLOCKS = 20
"""Of a window for fewer, two blocks would be too much to lose; a Valkey that forgets makes them wait."""
BLOCKS = 200
MOST_IN_A_BLOCK = 1000
BLOCK_LIFE = 0.05
"""Of a window: so long what is left of a block may be used; then it is void."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a quota, to be used in its period. Empty: nothing is left before `closed_until`."""

    amount: int
    period: int
    """When the period ends, in microseconds. Of a sliding window 0, or the cost for which it is closed, negative."""
    closed_until: int
    used: int
    """How much of the quota has been handed out, this block included."""
    expires: int = 0
    """Of a sliding window: when what is left of the block is void, in microseconds."""


class Held(NamedTuple):
    """What Valkey holds of the last block, as it is stored there."""

    left: int
    period: int
    closed_until: int
    used: int


class Quotas(Protocol):
    """Where quotas are counted for good."""

    def fetch(
        self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int, alone: bool = False
    ) -> Block: ...
    def first_ever(self) -> bool: ...


def counted_for_good(rule: Rule) -> bool:
    """Whether Valkey alone must not be trusted with it."""
    long = rule.per >= LONG_WINDOW and rule.requests is not None and rule.requests >= FEWEST_IN_BLOCKS
    return rule.quota is not None or long


def period_of(rule: Rule, now: int) -> tuple[int, int]:
    """When the quota's current day or month began and ends, in microseconds."""
    zone, at = ZoneInfo(rule.timezone), time.fromisoformat(rule.resets)
    local = (EPOCH + timedelta(microseconds=now)).astimezone(zone)
    day = local.date() if rule.period == "day" else local.date().replace(day=1)
    step = timedelta(days=1) if rule.period == "day" else timedelta(days=32)
    if _micros(datetime.combine(day, at, zone)) > now:
        day -= timedelta(days=1)
        day = day if rule.period == "day" else day.replace(day=1)
    after = day + step
    after = after if rule.period == "day" else after.replace(day=1)
    return _micros(datetime.combine(day, at, zone)), _micros(datetime.combine(after, at, zone))


def block_of(rule: Rule, cost: int) -> int:
    """How much is fetched at a time: little enough to lose."""
    if rule.quota is not None:
        return max(cost, min(MOST_IN_A_BLOCK, rule.quota // BLOCKS), 1)
    return -(-cost // unit_of(rule)) * unit_of(rule)


def unit_of(rule: Rule) -> int:
    """How much one block of a window holds; a dear request takes several at once."""
    return max(1, (rule.requests or 1) // BLOCKS)


def most_at_once(rule: Rule, reserve: float = 0.0) -> int:
    """The most that one request can ever take of it, where this share of a quota is left to others."""
    if rule.quota is not None:
        return max(1, rule.quota - int(rule.quota * reserve))
    return (rule.requests or 1) // unit_of(rule) * unit_of(rule)


def kept_for(rule: Rule) -> int:
    """How long Valkey must know what is left of a block, in microseconds, or each pause would lose it."""
    if rule.quota is not None:
        return (1 if rule.period == "day" else 31) * 86_400 * SECOND
    return int(rule.per * BLOCK_LIFE * SECOND)


def free_at(rule: Rule, held: Held, *, now: int, requests: int, reserve: float) -> int:
    """When so many requests may have been taken of it, as far as the last block tells: an estimate."""
    if rule.quota is None:
        return held.closed_until if held.left < requests else now
    if held.period <= now or requests <= most_at_once(rule, reserve) - held.used + held.left:
        return now
    return held.period


def name_of(rule: Rule) -> str:
    """The rule's name in the table: a changed quota goes on with what was used, another period or window begins anew."""
    return (
        f"{rule.period} {rule.resets} {rule.timezone}" if rule.quota else f"{rule.requests} in {rule.per:g}s"
    )


def _micros(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
