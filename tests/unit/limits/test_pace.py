"""The pure rule of the rate: no window above its limit, and nearly all of the limit used."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.limits.pace import (
    SLOWDOWN,
    Pace,
    Track,
    earliest,
    expected,
    forgotten,
    pace_of,
    payable,
    payback,
    slots_of,
    slowed,
    taken,
)
from worker.limits.policy import BACKFILL, SECOND, Limits, Rule

START = 1_772_000_000 * SECOND

rules = st.builds(
    Rule, requests=st.integers(1, 30), per=st.floats(0.001, 1000), burst=st.integers(1, 40)
) | st.builds(Rule, requests=st.integers(250, 1100), per=st.floats(0.5, 20), burst=st.integers(1, 1100))
"""Small limits, and those that are counted in blocks."""
asking = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(0, 20 * SECOND), st.integers(0, 2000 * SECOND)),
        st.integers(1, 4),
        st.sampled_from([0, SECOND // 10, 2 * SECOND, 30 * SECOND]),
        st.sampled_from([0, 3, BACKFILL]),
    ),
    max_size=80,
)


@dataclass
class Granted:
    """A run of the pure model: what was granted, when, at which cost."""

    track: Track = field(default_factory=Track)
    times: list[tuple[int, int]] = field(default_factory=list)

    def ask(self, rule: Rule, now: int, cost: int = 1, max_wait: int = 0, lane: int = 0) -> int | None:
        pace = pace_of(rule, lane)
        assert pace is not None
        cost = min(cost, pace.block * pace.blocks)
        at = earliest(self.track, pace, now, cost)
        if at - now > max_wait:
            return None
        self.track = taken(self.track, pace, now, at, cost)
        self.times.append((at, cost))
        return at

    def dearest_window(self, period: int) -> int:
        """The most that any closed window of that length holds; the worst one ends at a grant."""
        most = held = oldest = 0
        for at, cost in self.times:
            held += cost
            while self.times[oldest][0] < at - period:
                held -= self.times[oldest][1]
                oldest += 1
            most = max(most, held)
        return most


def _asked(rule: Rule, asked: list[tuple[int, int, int, int]]) -> Granted:
    granted, now = Granted(), START
    for pause, cost, max_wait, lane in asked:
        now += pause
        granted.ask(rule, now, cost, max_wait, lane)
    return granted


@given(rule=rules, asked=asking)
def test_no_window_ever_holds_more_than_the_limit(rule: Rule, asked: list[tuple[int, int, int, int]]) -> None:
    assert _asked(rule, asked).dearest_window(int(rule.per * SECOND)) <= (rule.requests or 0)


@settings(deadline=None, max_examples=60)
@given(rule=rules, hammer=st.integers(1, 20))
def test_a_crowd_that_never_stops_asking_gets_no_more_and_hardly_less(rule: Rule, hammer: int) -> None:
    """Asking all the time is the worst case for the limit, and 97 % of it must come out, whatever the burst."""
    assert rule.requests is not None
    granted, period, now = Granted(), int(rule.per * SECOND), START
    pace = pace_of(rule)
    assert pace is not None
    while len(granted.times) < 3 * rule.requests + 5:
        now = max(now + max(1, pace.interval // hammer), earliest(granted.track, pace, now))
        assert granted.ask(rule, now) is not None
    assert granted.dearest_window(period) <= rule.requests
    windows = (len(granted.times) - 1) / rule.requests
    # 2 % of the window for the network, a block of those above 256, and a last one that is only begun.
    (first, _), (last, _) = granted.times[0], granted.times[-1]
    assert last - first <= (windows + 1 / rule.requests) * (period * 1.02 + 2 * rule.requests + 2) * 1.01
    assert pace.blocks * pace.block >= 0.97 * rule.requests


@given(
    rule=rules,
    before=asking,
    cost=st.integers(1, 5),
    max_wait=st.integers(0, 30 * SECOND),
    pause=st.integers(0, 100 * SECOND),
)
def test_a_refusal_names_a_time_that_is_then_granted(
    rule: Rule, before: list[tuple[int, int, int, int]], cost: int, max_wait: int, pause: int
) -> None:
    granted = _asked(rule, before)
    pace = pace_of(rule)
    assert pace is not None
    cost = min(cost, pace.block * pace.blocks)
    now = (granted.times[-1][0] if granted.times else START) + pause
    at = earliest(granted.track, pace, now, cost)
    assert at >= now
    assert earliest(granted.track, pace, at, cost) == at
    del max_wait


@given(rule=rules, asked=asking, loses=st.integers(0, 40), furthest=st.integers(0, 3 * SECOND))
def test_a_memory_that_is_lost_in_the_middle_breaks_no_window(
    rule: Rule, asked: list[tuple[int, int, int, int]], loses: int, furthest: int
) -> None:
    granted, now = Granted(), START
    for number, (pause, cost, max_wait, lane) in enumerate(asked):
        if number == loses:
            pace = pace_of(rule)
            assert pace is not None
            granted.track = forgotten(pace, now + furthest)
        now += pause
        granted.ask(rule, now, cost, min(max_wait, furthest), lane)
    assert granted.dearest_window(int(rule.per * SECOND)) <= (rule.requests or 0)


def test_a_request_dearer_than_a_window_is_charged_as_a_window() -> None:
    ten = Limits(requests=10, rules=(Rule(requests=100, per=3600.0),)).all_rules()
    assert payable(50, ten) == 10
    assert payable(50, ()) == 50
    assert payable(600, [Rule(requests=513, burst=9)]) == 513 // 3 * 3
    assert payable(-3, ten) == 1
    assert payable(600, [Rule(requests=513, per=3600.0)]) == 512, "it is counted in blocks of two"
    assert [payable(500, [Rule(quota=100)], lane) for lane in (0, 3, BACKFILL)] == [100, 98, 90]


def test_a_burst_leaves_at_once_and_the_rest_at_the_pace() -> None:
    rule, granted = Rule(requests=10, per=10, burst=4), Granted()
    times = [granted.ask(rule, START, max_wait=30 * SECOND) for _ in range(6)]
    pace = pace_of(rule)
    assert pace is not None
    assert times == [START] * 4 + [START + pace.interval, START + 2 * pace.interval]


def test_a_burst_as_large_as_the_limit_leaves_at_once_and_again_a_window_later() -> None:
    rule, granted = Rule(requests=3, per=10, burst=3), Granted()
    times = [granted.ask(rule, START, max_wait=30 * SECOND) or 0 for _ in range(6)]
    assert times[:3] == [START] * 3
    assert all(10 * SECOND < time - START <= 10.3 * SECOND for time in times[3:])


def test_one_request_per_window_means_one() -> None:
    rule, granted = Rule(requests=1, per=60, burst=5), Granted()
    first, second = (granted.ask(rule, START, max_wait=90 * SECOND) or 0 for _ in range(2))
    assert 60 * SECOND < second - first < 60.3 * SECOND


def test_no_request_limit_is_no_rate() -> None:
    assert pace_of(Rule(concurrency=3)) is None
    assert slowed([Rule(concurrency=2)]) is None
    assert payback([Rule(concurrency=2)]) == 0


def test_less_urgent_lanes_leave_some_of_a_burst_of_a_long_window_and_of_the_slots() -> None:
    hour = Rule(requests=100, per=3600, burst=100)
    free = []
    for lane in (0, 3, BACKFILL):
        granted = Granted()
        free.append(sum(granted.ask(hour, START, lane=lane) is not None for _ in range(200)))
    assert free == [100, 98, 90]
    assert [slots_of([Rule(concurrency=10)], lane) for lane in (0, 3, BACKFILL)] == [
        (10, 0),
        (10, 0),
        (10, 2),
    ]
    assert slots_of([Rule(concurrency=1), Rule(concurrency=7)], BACKFILL) == (1, 0)


@given(rule=rules)
def test_four_processes_on_their_own_stay_within_the_limit(rule: Rule) -> None:
    assert rule.requests is not None
    slow = slowed([rule, Rule(requests=10**6, per=1.0)])
    assert slow is not None
    assert slow.burst == 1
    most = SLOWDOWN * (int(rule.per * SECOND) // slow.interval + 1)
    assert most <= max(rule.requests, 2 * SLOWDOWN)


def test_a_clock_that_was_set_back_costs_a_window_not_the_time_that_it_was_set_back() -> None:
    pace = pace_of(Rule(requests=10, per=10))
    assert pace is not None
    track = Track(tat=START + 86_400 * SECOND)
    assert earliest(track, pace, START) - START <= pace.horizon


def test_blocks_bound_what_is_kept_of_a_large_limit() -> None:
    rule, granted = Rule(requests=10_000, per=60, burst=10_000), Granted()
    for _ in range(10_000):
        assert granted.ask(rule, START, lane=0) is not None or len(granted.times) >= 9_900
    assert len(granted.track.ends) <= 257


def test_an_estimate_counts_what_is_granted_already_and_who_waits() -> None:
    rule = Rule(requests=10, per=1.0)
    pace = pace_of(rule)
    assert pace is not None
    busy = expected([rule], [START + 5 * SECOND], now=START, start=0, requests=100)
    assert 14 * SECOND < busy < 16 * SECOND
    assert expected([rule], [], now=START, start=START + 60 * SECOND, requests=1) == 60 * SECOND
    assert expected([], [], now=START, start=0, requests=1000) == 0


def test_the_model_moves_one_step_at_a_time() -> None:
    pace = replace(pace_of(Rule(requests=4, per=1)) or Pace(1, 1, 1, 1))
    times = []
    track = Track()
    for _ in range(5):
        at = earliest(track, pace, START)
        track = taken(track, pace, START, at)
        times.append(at)
    assert {later - first for first, later in pairwise(times)} == {pace.interval}
