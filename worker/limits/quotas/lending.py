"""May another block of a long window be handed out, so that no window ever holds more than its limit? Pure.

A block is used until the next one is fetched, or the one after that: two workers may fetch at once, and a dear request
leaves some of the block before. And never for longer than a twentieth of the window, after which its rest is void. When
a whole window has passed since then, its place is free. Under full load that costs 2 of 200 blocks.

Promise: at most `requests` (by cost) are used in any window of `per` seconds, whoever fetches, at whatever cost.
"""

from collections.abc import Sequence
from typing import NamedTuple

from worker.limits.policy import Rule
from worker.limits.quotas.quota import BLOCK_LIFE, block_of, unit_of

CLOCKS = 0.25
"""Seconds by which Valkey's and Postgres's clocks may drift apart within a window."""
SHORTEST = 0.1


class Lent(NamedTuple):
    """What became of a fetch, and what is to be remembered; times in seconds."""

    amount: int
    """0: nothing yet."""
    fetched: list[float]
    """When each unit that still counts was fetched, the newest last."""
    left: int
    """What one who fetches alone did not need, for the next such."""
    wait: float = 0.0


def lend(
    rule: Rule, fetched: Sequence[float], left: int, *, now: float, cost: int, ahead: float, alone: bool
) -> Lent:
    """The next block, or, `alone`, just the cost; or when to ask again. The cost is at most `most_at_once`."""
    unit, life = unit_of(rule), rule.per * BLOCK_LIFE
    units, wanted = (rule.requests or 1) // unit, block_of(rule, cost) // unit
    gone = now - (rule.per + ahead + CLOCKS)
    known = [min(time, now) for time in fetched]  # a clock that was set back must not stop anybody for long
    # One without Valkey adds to the last block while that lives: it ends no other, which Valkey may know still.
    joins = alone and bool(known) and known[-1] + life > now
    if joins and left >= cost:
        return Lent(cost, known, left - cost)
    over = sorted({time for time in known if time <= gone})
    ended = over[-3] if len(over) > 2 else float("-inf")
    live = [time for time in known if time > ended and time + life > gone]
    if len(live) + wanted <= units:
        amount, stamp = wanted * unit, known[-1] if joins else now
        lent, left = (cost, amount - cost) if alone else (amount, 0)
        return Lent(lent, [*live, *[stamp] * wanted], left)
    return Lent(0, live, left, max(SHORTEST, _free_after(live, len(live) + wanted - units, life) - gone))


def _free_after(live: Sequence[float], many: int, life: float) -> float:
    """The time that must have left the window for so many of these to be free."""
    last = live[min(many, len(live)) - 1]
    later = sorted({time for time in live if time > last})
    return min(last + life, later[1]) if len(later) > 1 else last + life
