"""When may the next request leave, so that no window ever holds more than its limit? Pure; `take.lua` says the same.

GCRA keeps the pace: one number, `tat`, is the time at which all that was granted would be paid off at the even pace. With a
burst of one that alone is exact and uses all of the rate. A real burst would cost as much of the rate as it is large, so
beside it the times of the last grants are kept, in blocks: a block opens only when the one a whole limit before it has
left the window. A limit has at most 256 blocks; each counts as if all of it left when its last request did, so up to 1/128
of the rate is lost for limits above 256, and none below. The window is kept 2 % longer than it is (at most a quarter
of a second): what leaves at its time arrives within that, so that the system counts no more than we do.

Promise: at most `requests` (by cost) are granted in any window of `per` seconds, whenever they are asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.limits.policy import LONGEST_WAIT, PATIENCE, SECOND, Rule
from worker.limits.quotas.quota import counted_for_good, most_at_once

MARGIN, LONGEST_MARGIN = 0.02, SECOND // 4
MOST_BLOCKS = 256
RESERVE = (0.0, 0.0, 0.0, 0.02, 0.10)
"""What each lane leaves of bursts, long windows, quotas and slots to those who come before it."""
LONG = 60.0
"""Of windows shorter than this nothing is left over: they are empty again soon."""
SLOWDOWN = 4
"""Without Valkey each process paces itself this much slower: four of them together still keep the limit."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A window as it is kept; times in microseconds."""

    interval: int
    burst: int
    assumed: int
    """How far `tat` lies ahead after an unknown past: whatever was granted then, the windows hold."""
    horizon: int
    """`tat` can't be further ahead than this: if it is, the clock was set back or the limits were changed."""
    period: int = 0
    """0: the pace alone is exact. Else a block opens this long after the end of the one `blocks` before it."""
    block: int = 1
    blocks: int = 1
    reserve: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """What was granted in one window so far: `last` grant, `tat`, how many, and when each block ended."""

    last: int = 0
    tat: int = 0
    count: int = 0
    ends: Mapping[int, int] = field(default_factory=dict)


def pace_of(rule: Rule, lane: int = 0) -> Pace | None:
    """The pace that keeps this rule; None where it limits no rate."""
    if rule.requests is None:
        return None
    window = int(rule.per * SECOND)
    kept = window + min(int(window * MARGIN), LONGEST_MARGIN)
    interval, burst = kept // rule.requests + 1, min(rule.burst, rule.requests)
    left = burst - int(burst * RESERVE[lane])
    block = -(-rule.requests // MOST_BLOCKS)
    most = max(rule.requests, 2 * burst)
    return Pace(
        interval=interval,
        burst=max(1, left),
        assumed=interval if burst == 1 else 2 * burst * interval,
        horizon=int(LONGEST_WAIT * PATIENCE) + most * interval,
        period=0 if burst == 1 else kept + 1,
        block=block,
        blocks=rule.requests // block,
        reserve=int(rule.requests * RESERVE[lane]) if rule.per >= LONG and burst > 1 else 0,
    )


def slots_of(rules: Iterable[Rule], lane: int = 0) -> tuple[int, int]:
    """The least of the rules' concurrencies (0: any), and how many of those this lane leaves to others."""
    most = min((rule.concurrency for rule in rules if rule.concurrency is not None), default=0)
    return most, int(most * RESERVE[lane] * 2.5) if most > 1 else 0


def payable(cost: int, rules: Iterable[Rule], lane: int = 0) -> int:
    """The cost, but never more than a window or quota can hold: a dearer request would wait for ever."""
    every = tuple(rules)
    paces = [pace for rule in every if (pace := pace_of(rule)) is not None]
    stored = [most_at_once(rule, RESERVE[lane]) for rule in every if counted_for_good(rule)]
    return max(1, min([cost, *(pace.block * pace.blocks for pace in paces), *stored]))


def earliest(track: Track, pace: Pace, now: int, cost: int = 1) -> int:
    """When `cost` requests may leave at once."""
    tat = min(track.tat, now + pace.horizon)
    at = max(now, track.last, tat + (cost - pace.burst) * pace.interval)
    if pace.period:
        newest = (track.count + cost + pace.reserve - 1) // pace.block
        if newest > (track.count - 1) // pace.block:
            at = max(at, track.ends.get(newest - pace.blocks, 0) + pace.period)
    return at


def taken(track: Track, pace: Pace, now: int, at: int, cost: int = 1) -> Track:
    """The window after `cost` requests were granted for the time `at`."""
    tat = max(min(track.tat, now + pace.horizon), at) + cost * pace.interval
    touched = range(track.count // pace.block, (track.count + cost - 1) // pace.block + 1)
    return Track(at, tat, track.count + cost, {**track.ends, **dict.fromkeys(touched, at)})


def forgotten(pace: Pace, since: int) -> Track:
    """A window of which nothing is known before `since`: it is taken for as full as its rule allows."""
    return Track(0, since + pace.assumed)


def slowed(rules: Iterable[Rule]) -> Pace | None:
    """The pace of a process that can't see what the others do: a quarter, and never two at once.

    A window may hold one more than its length in intervals, for each of the four: the rate is a little less for it.
    """
    intervals = [
        SLOWDOWN * int(rule.per * SECOND) // max(1, rule.requests - SLOWDOWN) + 1
        for rule in rules
        if rule.requests is not None
    ]
    if not intervals:
        return None
    interval = max(intervals)
    return Pace(interval, 1, assumed=interval, horizon=LONGEST_WAIT + 2 * interval)


def payback(rules: Iterable[Rule]) -> int:
    """How long after an unknown past the account is as good as new; 0 without a rate."""
    return max((pace.assumed for rule in rules if (pace := pace_of(rule)) is not None), default=0)


def expected(rules: Iterable[Rule], tats: Sequence[int], *, now: int, start: int, requests: int) -> int:
    """How long until that many requests may have left, of which none leaves before `start`: an estimate."""
    start = max(now, start)
    paces = [pace for rule in rules if (pace := pace_of(rule)) is not None]
    ends = [start]
    for pace, tat in zip(paces, [*tats, *[0] * len(paces)], strict=False):
        ends.append(max(start, tat, now) + (requests - pace.burst) * pace.interval)
    return max(ends) - now
