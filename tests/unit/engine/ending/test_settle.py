"""What an error means for a run."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.ending.settle import FOR_A_PERSON, LONGEST_BACKOFF, End, GiveBack, backoff, settle
from worker.errors import (
    BadRecord,
    Cancelled,
    Draining,
    HeadraceError,
    InvalidInput,
    NeedsOperator,
    RateLimited,
    SliceEnded,
    Transient,
)
from worker.runs.states import State

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def settled(error: HeadraceError, *, attempt: int = 0, dice: float = 0.0) -> GiveBack | End:
    return settle(error, attempt=attempt, max_attempts=5, now=NOW, dice=dice)


@pytest.mark.parametrize(
    ("error", "attempt", "least"),
    [(Transient("timeout", "It took too long."), 90, 0.0), (NeedsOperator("denied", "No."), 0, FOR_A_PERSON)],
)
def test_a_run_for_which_events_wait_is_never_over_and_says_why(
    error: HeadraceError, attempt: int, least: float
) -> None:
    decision = settle(error, attempt=attempt, max_attempts=5, now=NOW, dice=0.0, owes=True)
    assert isinstance(decision, GiveBack)
    assert decision.wait >= max(least, 5.0)
    assert decision.failure is not None
    assert decision.failure.code == error.code
    assert isinstance(settled(error, attempt=attempt), End), "others are over"


def test_a_run_for_which_events_wait_is_over_when_somebody_cancels_it() -> None:
    error = Cancelled("a run")
    assert isinstance(settle(error, attempt=0, max_attempts=5, now=NOW, dice=0.0, owes=True), End)


def test_a_passing_fault_is_tried_again_and_spends_an_attempt() -> None:
    decision = settled(Transient("timeout", "It took too long."))
    assert isinstance(decision, GiveBack)
    assert (decision.reason, decision.spent, decision.wait) == ("retry", True, 5.0)


def test_the_last_attempt_that_fails_ends_the_run() -> None:
    decision = settled(Transient("timeout", "It took too long."), attempt=4)
    assert isinstance(decision, End)
    assert decision.outcome is State.FAILED
    assert decision.failure.code == "timeout"


def test_being_told_to_wait_is_no_failure_however_often() -> None:
    error = RateLimited("throttled", "Wait.", resume_at=NOW + timedelta(seconds=90))
    decision = settled(error, attempt=4)
    assert isinstance(decision, GiveBack)
    assert not decision.spent
    assert decision.wait == 90.0


def test_runs_that_waited_together_do_not_come_back_together() -> None:
    error = RateLimited("throttled", "Wait.", resume_at=NOW + timedelta(seconds=90))
    waits = {settled(error, dice=dice).wait for dice in (0.0, 0.3, 0.9)}  # type: ignore[union-attr]
    assert len(waits) == 3
    assert min(waits) >= 90.0


def test_a_worker_that_shuts_down_gives_the_run_back_at_once_and_for_free() -> None:
    assert settled(Draining("Shutting down.")) == GiveBack(0.0, "drain", spent=False)


def test_a_run_that_had_its_turn_goes_back_at_once_and_for_free() -> None:
    assert settled(SliceEnded("Used up.")) == GiveBack(0.0, "slice", spent=False)


@pytest.mark.parametrize(
    "error",
    [NeedsOperator("auth_refused", "No."), InvalidInput("x", "No."), BadRecord("x", "No.")],
)
def test_what_a_person_must_mend_is_not_tried_again(error: HeadraceError) -> None:
    decision = settled(error)
    assert isinstance(decision, End)
    assert decision.outcome is State.FAILED


def test_a_cancelled_run_ends_as_cancelled() -> None:
    decision = settled(Cancelled("r"))
    assert isinstance(decision, End)
    assert decision.outcome is State.CANCELLED


@given(attempt=st.integers(0, 10_000), dice=st.floats(0, 1, exclude_max=True))
def test_backoff_stays_within_its_bounds(attempt: int, dice: float) -> None:
    assert 3.75 <= backoff(attempt, dice) <= LONGEST_BACKOFF


def test_a_time_to_go_on_that_is_past_still_makes_a_pause() -> None:
    """The clocks of two servers differ: asked again at once, it would be refused at once."""
    decision = settled(RateLimited("throttled", "Wait.", resume_at=NOW - timedelta(seconds=60)))
    assert isinstance(decision, GiveBack)
    assert decision.wait >= 1.0
