"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InvalidInput
from worker.parsing.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("1h", 3600),
        ("1h30m", 5400),
        ("90d", 7_776_000),
        ("2w", 1_209_600),
        ("0s", 0),
    ],
)
def test_reads_what_people_write(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "15",
        "m",
        "15 m",
        "-5m",
        "1.5h",
        "30m1h",
        "15min",
        "5m\n",
        "٣m",
        "9999999d",
        None,
        15,
        True,
        ["1m"],
    ],
)
def test_refuses_what_could_mean_anything(text: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration(text)
    assert caught.value.code == "bad_duration"
    assert "15m" in str(caught.value)


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_written_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
