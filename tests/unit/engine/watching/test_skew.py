"""How far a source's clock is off, as its answers say."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.watching.skew import TOLERANCE, skew_after

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def heard(said: str | None, known: float = 0.0, took: float = 0.2, **headers: str) -> float:
    date = {} if said is None else {"date": said}
    return skew_after({**date, **headers}, known, sent=NOW, received=NOW + timedelta(seconds=took))


def http_date(ahead: float) -> str:
    return format_datetime((NOW + timedelta(seconds=ahead)).replace(microsecond=0), usegmt=True)


@given(
    st.floats(-80_000, 80_000),
    st.floats(-80_000, 80_000),
    st.lists(st.floats(0.0, 40.0), min_size=1, max_size=6),
)
def test_what_is_known_comes_near_the_truth_and_never_beyond_what_a_header_can_say(
    truth: float, known: float, latencies: list[float]
) -> None:
    for took in latencies:
        stamped = NOW + timedelta(seconds=truth + took / 2)
        date = format_datetime(stamped.replace(microsecond=0), usegmt=True)
        known = skew_after({"date": date}, known, sent=NOW, received=NOW + timedelta(seconds=took))
        assert truth - took - 1 - TOLERANCE - 0.1 <= known <= truth + took + 1 + TOLERANCE + 0.1


@pytest.mark.parametrize("ahead", [0.0, 1.0, -1.0, 2.0])
def test_a_difference_that_a_header_cannot_tell_changes_nothing(ahead: float) -> None:
    assert heard(http_date(ahead)) == 0.0


def test_a_slow_answer_says_little() -> None:
    assert heard(http_date(0), known=-20.0, took=30.0) == -20.0
    assert heard(http_date(0), known=-20.0, took=0.1) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(
    "said",
    [None, "", "now", "NaN", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 9999 00:00:00 GMT", "2026-11-24", "0", ",",
     "Tue, 99 Nov 2026 12:00:00 GMT", "Tue, 24 Nov 99999999999 12:00:00 GMT", "\ud800"],
)  # fmt: skip
def test_an_absurd_date_says_nothing(said: str | None) -> None:
    assert heard(said, known=7.0) == 7.0


def test_an_answer_that_a_cache_kept_says_nothing() -> None:
    assert heard(http_date(-500), age="500") == 0.0


def test_a_clock_that_goes_back_while_an_answer_comes_says_nothing() -> None:
    assert heard(http_date(500), took=-1.0) == 0.0


@given(st.text())
def test_any_header_is_taken(text: str) -> None:
    assert isinstance(heard(text), float)
