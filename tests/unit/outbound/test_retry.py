"""What follows from an answer, and from a handful of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.outbound.retry import (
    DAYS,
    DELAYS,
    LONGEST_ASKED,
    MOST_PENDING,
    RESTS,
    Failed,
    Verdict,
    delay,
    judge,
    outcome_of,
    record_delay,
    seconds_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REFUSED = Failed("it answered 500")
OWN = Failed("it answered 422", own=True)
SILENT = Failed("no answer", silent=True)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_means_taken(status: int) -> None:
    assert outcome_of(status, None, NOW) is None


def test_answers_say_whose_fault_it_is() -> None:
    assert outcome_of(422, None, NOW) == Failed("it answered 422", own=True)
    assert outcome_of(500, None, NOW) == Failed("it answered 500")
    assert outcome_of(429, "7", NOW) == Failed("it answered 429", 7.0, silent=True)
    assert outcome_of(503, "7", NOW) == Failed("it answered 503", 7.0, silent=True)
    assert outcome_of(503, None, NOW) == Failed("it answered 503")
    gone = outcome_of(410, None, NOW)
    assert gone is not None
    assert gone.gone
    moved = outcome_of(302, None, NOW)
    assert moved is not None
    assert "redirects are not followed" in moved.words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0), ("0", 0.0), ("Sun, 01 Mar 2026 00:01:00 GMT", 60.0), ("Sat, 28 Feb 2026 00:00:00 GMT", 0.0),
        ("999999999999", LONGEST_ASKED), ("Mon, 01 Mar 2027 00:00:00 GMT", LONGEST_ASKED),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1e9", None), ("\u0661", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_time(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text, NOW) == seconds


def test_waits_grow_from_seconds_to_hours_over_days() -> None:
    waits = [delay(n, 0.0) for n in range(1, 10)]
    assert waits == [*DELAYS, DELAYS[-1]]
    assert (waits[0], waits[-1]) == (5.0, 8 * 3600.0)
    assert delay(1, 1.0) <= 5.5
    assert delay(1, 0.0, asked=600.0) == 600.0
    assert delay(9, 0.0, asked=5.0) == DELAYS[-1]
    assert record_delay(3, DAYS - 1, 0.0) == DELAYS[2]
    assert record_delay(3, DAYS, 0.0) is None
    assert timedelta(seconds=DAYS) == timedelta(days=5)


def verdict(
    *results: Failed | None, attempt: int = 0, failing: float = 0.0, pending: int = 0, again: bool = False
) -> Verdict:
    return judge(results, attempt=attempt, failing=failing, pending=pending, dice=0.0, again=again)


def test_where_some_are_taken_the_rest_wait_by_themselves() -> None:
    found = verdict(None, REFUSED, OWN, attempt=4)
    assert (found.moves, found.rest, found.attempt, found.failing) == (True, None, 0, False)


def test_where_none_is_taken_the_endpoint_rests_and_nothing_moves() -> None:
    for failure in (REFUSED, SILENT):
        found = verdict(failure, failure, attempt=1)
        assert (found.moves, found.rest, found.attempt, found.failing) == (False, 30.0, 2, True)


def test_after_some_rests_refusals_wait_by_themselves_but_silence_never_moves() -> None:
    assert verdict(REFUSED, attempt=RESTS).moves
    assert verdict(REFUSED, attempt=RESTS).rest == DELAYS[RESTS]
    assert not verdict(SILENT, attempt=50).moves
    assert not verdict(REFUSED, SILENT, attempt=50).moves


def test_what_a_receiver_says_of_a_message_holds_up_no_other() -> None:
    found = verdict(OWN)
    assert (found.moves, found.rest) == (True, None)


def test_patience_that_is_asked_for_is_given_by_all() -> None:
    found = verdict(None, Failed("429", 90.0, silent=True))
    assert (found.moves, found.rest, found.failing) == (True, 90.0, False)


def test_too_many_that_wait_by_themselves_make_the_endpoint_rest() -> None:
    assert not verdict(OWN, pending=MOST_PENDING).moves
    assert not verdict(None, OWN, pending=MOST_PENDING).moves
    assert verdict(None, OWN, pending=MOST_PENDING).rest
    assert verdict(OWN, pending=MOST_PENDING - 1).moves


def test_gone_is_gone_and_days_of_failure_are_the_end() -> None:
    assert "410" in str(verdict(None, Failed("it answered 410", gone=True)).disabled)
    assert "5d" in str(verdict(SILENT, failing=DAYS).disabled)
    assert verdict(SILENT, failing=DAYS - 1).disabled is None
    assert verdict(None, SILENT, failing=DAYS).disabled is None


def test_records_that_are_tried_again_stop_nobody_unless_the_endpoint_is_silent() -> None:
    found = verdict(REFUSED, OWN, again=True, attempt=2, failing=DAYS)
    assert (found.moves, found.rest, found.failing, found.disabled) == (True, None, None, None)
    assert verdict(SILENT, again=True).rest == 5.0
    assert verdict(None, REFUSED, again=True).failing is False


def test_nothing_sent_changes_nothing() -> None:
    found = verdict(attempt=2, failing=DAYS)
    assert (found.moves, found.attempt, found.rest, found.failing, found.disabled) == (
        True,
        2,
        None,
        None,
        None,
    )


FAILURES = st.none() | st.builds(
    Failed, st.just("w"), st.none() | st.floats(0, LONGEST_ASKED), silent=st.booleans(), own=st.booleans()
)


@given(st.lists(FAILURES, min_size=1), st.integers(0, 20), st.integers(0, MOST_PENDING * 2), st.floats(0, 1))
def test_a_verdict_never_drops_a_message_and_never_spins(
    results: list[Failed | None], attempt: int, pending: int, dice: float
) -> None:
    found = judge(results, attempt=attempt, failing=0.0, pending=pending, dice=dice)
    if not found.moves:
        assert found.rest is not None
        assert found.rest >= DELAYS[0]
    if all(result is not None and result.silent for result in results):
        assert not found.moves
