"""The pure rules of the budget: the pace, the waits and what a system says about waiting."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors import contract
from worker.errors import InvalidInput
from worker.limits.policy import (
    BACKFILL,
    SECOND,
    Limits,
    Rate,
    held_for,
    payable,
    rate_of,
    reach,
    retry_after,
    slowed,
    spread,
    step,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START = 1_772_000_000 * SECOND

limits_with_a_rate = st.builds(
    Limits,
    requests=st.integers(1, 30),
    per=st.floats(0.001, 1000),
    burst=st.integers(1, 40),
)


@dataclass
class Grants:
    """A run of the pure model: what was granted, when, at which cost."""

    times: list[tuple[int, int]]

    def dearest_window(self, period: int) -> int:
        """The most that any closed window of that length holds; the worst one begins at a grant."""
        return max(
            (sum(c for t, c in self.times if start <= t <= start + period) for start, _ in self.times),
            default=0,
        )


def _run(rate: Rate, asked: list[tuple[int, int, int]]) -> Grants:
    tat, now, times = 0, START, []
    for pause, cost, max_wait in asked:
        now += pause
        outcome = step(tat, now, rate, cost=min(cost, rate.requests), max_wait=max_wait)
        if outcome.granted:
            times.append((outcome.at, min(cost, rate.requests)))
        tat = outcome.tat
    return Grants(times)


@given(
    limits=limits_with_a_rate,
    asked=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 3), st.integers(0, 2000 * SECOND)),
            st.integers(1, 4),
            st.sampled_from([0, SECOND // 10, 2 * SECOND, 30 * SECOND]),
        ),
        max_size=80,
    ),
)
def test_no_window_ever_holds_more_than_the_limit(limits: Limits, asked: list[tuple[int, int, int]]) -> None:
    rate = rate_of(limits)
    assert rate is not None
    assert _run(rate, asked).dearest_window(int(limits.per * SECOND)) <= (limits.requests or 0)


@given(limits=limits_with_a_rate, hammer=st.integers(1, 50))
def test_a_crowd_that_never_stops_asking_gets_no_more_and_hardly_less(limits: Limits, hammer: int) -> None:
    """Asking all the time is the worst case for the limit, and the pace promised must come out of it."""
    rate = rate_of(limits)
    assert rate is not None
    assert limits.requests is not None
    period = int(limits.per * SECOND)
    pause = max(1, rate.interval // hammer)
    grants = _run(rate, [(pause, 1, 0)] * (hammer * 35 + 40))
    assert grants.dearest_window(period) <= limits.requests
    spacing = [
        later - earlier for (earlier, _), (later, _) in zip(grants.times, grants.times[1:], strict=False)
    ]
    assert all(gap <= rate.interval + pause for gap in spacing)


@given(
    limits=limits_with_a_rate,
    behind=st.integers(-100 * SECOND, 100 * SECOND),
    hold=st.integers(-100 * SECOND, 100 * SECOND),
    cost=st.integers(1, 5),
    max_wait=st.integers(0, 30 * SECOND),
)
def test_a_refusal_consumes_nothing_and_names_a_time_that_is_then_granted(
    limits: Limits, behind: int, hold: int, cost: int, max_wait: int
) -> None:
    rate = rate_of(limits)
    assert rate is not None
    cost = payable(cost, limits)
    tat = START + min(behind, rate.horizon)
    refused = step(tat, START, rate, cost=cost, max_wait=max_wait, hold=START + hold)
    if refused.granted:
        assert START <= refused.at <= START + max_wait
        return
    assert refused.tat == tat
    assert refused.at > START + max_wait
    assert step(tat, refused.at, rate, cost=cost, max_wait=0, hold=START + hold).granted


def test_a_burst_leaves_at_once_and_the_rest_at_the_pace() -> None:
    rate = rate_of(Limits(requests=10, per=10, burst=4))
    assert rate is not None
    grants = _run(rate, [(0, 1, 30 * SECOND)] * 6)
    assert [t - START for t, _ in grants.times[:4]] == [0, 0, 0, 0]
    assert [t - START for t, _ in grants.times[4:]] == [rate.interval, 2 * rate.interval]


def test_one_request_per_window_means_one() -> None:
    rate = rate_of(Limits(requests=1, per=60, burst=5))
    assert rate == Rate(interval=60 * SECOND + 1, burst=1, requests=1)


def test_a_burst_as_large_as_the_limit_is_cut_so_that_time_still_pays_it_back() -> None:
    rate = rate_of(Limits(requests=10, per=60, burst=10))
    assert rate is not None
    assert rate.burst == 9


def test_no_request_limit_is_no_rate() -> None:
    assert rate_of(Limits()) is None
    assert slowed(Limits(concurrency=2)) is None


def test_four_processes_on_their_own_stay_within_the_limit() -> None:
    limits = Limits(requests=60, per=60, burst=20)
    rate, slow = rate_of(limits), slowed(limits)
    assert rate is not None
    assert slow is not None
    assert slow.burst == 1
    assert 4 * (60 * SECOND // slow.interval) <= 60


def test_a_clock_that_was_set_back_costs_a_window_not_the_time_that_it_was_set_back() -> None:
    rate = rate_of(Limits(requests=10, per=10))
    assert rate is not None
    a_day_ahead = START + 86_400 * SECOND
    outcome = step(a_day_ahead, START, rate, cost=1, max_wait=0)
    assert outcome.at - START <= rate.horizon


def test_a_request_dearer_than_a_window_is_charged_as_a_window() -> None:
    assert payable(50, Limits(requests=10)) == 10
    assert payable(50, Limits()) == 50
    assert payable(-3, Limits(requests=10)) == 1


def test_backfill_reserves_half_as_far_ahead_as_the_others() -> None:
    assert reach(2.0, lane=3) == 2.0
    assert reach(2.0, lane=BACKFILL) == 1.0
    assert reach(-1.0, lane=0) == 0.0
    assert reach(900.0, lane=0) == 30.0


@given(wait=st.floats(0, 1e6), dice=st.floats(0, 1))
def test_spreading_never_sends_anybody_back_early_nor_much_late(wait: float, dice: float) -> None:
    assert 0 <= spread(wait, dice) <= 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests": 0},
        {"requests": -1},
        {"per": 0.0},
        {"per": float("nan")},
        {"per": float("inf")},
        {"burst": 0},
        {"concurrency": 0},
        {"requests": 10**12},
    ],
)
def test_limits_that_cannot_be_kept_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))) as caught:
        Limits(**wrong)  # type: ignore[arg-type]
    assert caught.value.code == "bad_limits"


def test_the_connectors_port_offers_the_same_limits() -> None:
    assert contract.Limits is Limits


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("0", 1.0),
        ("9" * 5000, 3600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=3), usegmt=True), 1.0),
        (format_datetime(NOW + timedelta(days=3), usegmt=True), 3600.0),
        ("Sun, 01 Mar 2026 12:00:30", 30.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_within_bounds(value: str, seconds: float) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds
    assert retry_after({"Retry-After": value}, NOW) == seconds


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1e3", "inf", "nan", "१२", "12 seconds", "\x00", "Sun, 99 Foo"]
)
def test_a_retry_after_that_means_nothing_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}, NOW) is None
    assert retry_after({}, NOW) is None


@given(value=st.text(max_size=60))
def test_no_retry_after_whatever_it_holds_is_more_than_none_or_a_bounded_wait(value: str) -> None:
    seconds = retry_after({"retry-after": value}, NOW)
    assert seconds is None or 1 <= seconds <= 3600


@pytest.mark.parametrize(
    ("seconds", "held"),
    [(0, 1), (-5, 1), (30, 30), (1e12, 86_400), (float("nan"), 1), (float("inf"), 86_400)],
)
def test_a_hold_has_sane_bounds_whatever_it_is_asked_for(seconds: float, held: int) -> None:
    assert held_for(seconds) == held * SECOND
