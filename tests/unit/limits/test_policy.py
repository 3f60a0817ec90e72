"""The pure rules of the budget: what limits may say, the waits, and what a system says about waiting."""

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
    Call,
    Limits,
    Rule,
    by_scope,
    held_for,
    reach,
    retry_after,
    spread,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_each_lane_reserves_less_far_ahead_than_those_before_it() -> None:
    waits = [reach(2.0, lane) for lane in range(BACKFILL + 1)]
    assert waits == sorted(waits, reverse=True)
    assert len(set(waits)) == len(waits)
    assert (waits[0], waits[BACKFILL]) == (2.0, 1.0)
    assert reach(-1.0, lane=0) == 0.0
    assert reach(900.0, lane=0) == 30.0


METERS = Rule(requests=1, per=10.0, paths=("/meters/*/readings",))
READS = Rule(requests=360, per=60.0, methods=("GET",))
OWN = Rule(requests=100, per=60.0, of="connection")
LINES = Rule(requests=5, per=1.0, streams=("lines",))


def test_a_rule_counts_the_requests_that_it_names_and_no_others() -> None:
    reading = Call("7", "readings", "get", "/meters/12/readings")
    assert METERS.counts(reading)
    assert READS.counts(reading)
    assert OWN.counts(reading)
    assert not LINES.counts(reading)
    assert not METERS.counts(Call(path="/meters/12"))
    assert not READS.counts(Call(method="POST"))
    assert LINES.counts(Call(stream="lines"))


def test_limits_choose_their_rules_once_for_all_requests_where_none_selects() -> None:
    assert Limits(requests=10, rules=(OWN,)).choose(Call("1", "x", "GET", "/x")) is None
    limits = Limits(requests=10, rules=(METERS, READS))
    assert limits.choose(Call(path="/x", method="POST")) == (0,)
    assert limits.choose(Call(path="/meters/1/readings")) == (0, 1, 2)
    assert limits.chosen((0, 2)) == (Rule(requests=10), READS)


def test_rules_that_select_the_same_requests_share_a_scope_and_the_accounts_comes_first() -> None:
    wide = Rule(requests=500, per=60.0)
    again = Rule(concurrency=2, of="connection")
    assert by_scope([METERS, OWN, wide, again]) == [[wide], [METERS], [OWN, again]]


def test_the_old_form_and_a_rule_of_the_same_words_are_the_same_limit() -> None:
    assert Limits(requests=5, per=2.0, burst=3, concurrency=4).all_rules() == (
        Rule(requests=5, per=2.0, burst=3, concurrency=4),
    )
    assert hash(Limits(requests=5)) == hash(Limits(requests=5))
    assert Limits(requests=5) != Limits(requests=6)


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


@pytest.mark.parametrize("wrong", [{"quota": 0}, {"resets": "24:00"}, {"resets": "noon"}, {"requests": 0}])
def test_rules_that_cannot_be_kept_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Rule(**wrong)  # type: ignore[arg-type]


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
