"""What systems say of their limits is read in every spelling, and can only slow us down, and not for long."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.limits.headers import LimitHeaders
from worker.limits.system.learned import LONGEST, Course, Learned, course, learned, wait_after_refusal

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "limit", "remaining", "seconds"),
    [
        # the IETF's drafts
        ({"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'}, 100, 50, 30),
        ({"ratelimit": "default;r=50;t=30"}, None, 50, 30),
        ({"ratelimit": '"hour";r=900;t=3000, "second";r=1;t=2'}, None, 900, 3000),
        ({"ratelimit": '"a;r=9, b";r=0;t=7'}, None, 0, 7),
        ({"ratelimit": '"p";r=5', "ratelimit-policy": '"p";q=10;w=20;pk=:Zm9v:'}, 10, 5, 20),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, 100, 50, 5),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "12", "ratelimit-reset": "9"}, 100, 12, 9),
        # one per kind of reset
        (spelled := {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "3", "x-ratelimit-reset": "20"}, 60, 3, 20),
        ({**spelled, "x-ratelimit-reset": str(EPOCH + 40)}, 60, 3, 40),
        ({**spelled, "x-ratelimit-reset": f"{EPOCH + 40}.5"}, 60, 3, 40.5),
        ({**spelled, "x-ratelimit-reset": str((EPOCH + 40) * 1000)}, 60, 3, 40),
        ({**spelled, "x-ratelimit-reset": "Sun, 01 Mar 2026 12:00:40 GMT"}, 60, 3, 40),
        ({**spelled, "x-ratelimit-reset": "2026-03-01T12:00:40Z"}, 60, 3, 40),
        ({**spelled, "x-ratelimit-reset": "1m30s"}, 60, 3, 90),
        ({**spelled, "x-ratelimit-reset": "250ms"}, 60, 3, 0.25),
        # other names
        ({"x-rate-limit-limit": "100", "x-rate-limit-remaining": "0", "x-rate-limit-reset": "10"}, 100, 0, 10),
        ({"x-ratelimit-minute-limit": "360", "x-ratelimit-minute-remaining": "0", "x-ratelimit-minute-ttl": "31"}, 360, 0, 31),
        ({"x-ratelimit-requests-limit": "9", "x-ratelimit-requests-remaining": "4"}, 9, 4, None),
        ({"x-ratelimit-remaining-requests": "4", "x-ratelimit-reset-requests": "6m0s"}, None, 4, 360),
    ],
)  # fmt: skip
def test_each_spelling_is_read(
    headers: Mapping[str, str], limit: int | None, remaining: int, seconds: float | None
) -> None:
    assert learned(headers, NOW) == Learned(limit, remaining, seconds)


@pytest.mark.parametrize(
    ("headers", "named", "expected"),
    [
        ({"x-left": "4", "x-all": "60", "x-until": "1500"}, LimitHeaders("x-left", "x-all", "x-until", "ms"), Learned(60, 4, 1.5)),
        ({"x-left": "4", "x-until": "2000000000"}, LimitHeaders("x-left", reset="x-until", unit="s"), Learned(None, 4, None)),
        ({"x-left": "4", "x-until": str(EPOCH + 40)}, LimitHeaders("x-left", reset="x-until", unit="epoch_s"), Learned(None, 4, 40)),
        ({"x-left": "4", "x-until": f"{EPOCH + 40}000"}, LimitHeaders("x-left", reset="x-until", unit="epoch_ms"), Learned(None, 4, 40)),
        ({"x-left": "4", "x-until": str(EPOCH + 40)}, LimitHeaders("x-left", reset="x-until"), Learned(None, 4, 40)),
        ({"x-left": "4", "x-until": "soon"}, LimitHeaders("x-left", reset="x-until", unit="s"), Learned(None, 4, None)),
        ({"x-left": "4"}, LimitHeaders("x-left", per=60.0), Learned(None, 4, 60.0)),
        ({"x-until": "7"}, LimitHeaders(reset="x-until"), Learned(None, None, 7)),
        ({"backoff": "7"}, LimitHeaders(wait="backoff"), Learned(wait=7, asked=7)),
        ({"backoff": "700", "retry-after": "9"}, LimitHeaders(wait="backoff", wait_unit="ms"), Learned(wait=9, asked=0.7)),
        ({"backoff": "0"}, LimitHeaders(wait="backoff"), None),
        ({"backoff": "soon"}, LimitHeaders(wait="backoff", wait_unit="ms"), None),
        ({"x-other": "4"}, LimitHeaders("x-left", per=60.0), None),
    ],
)  # fmt: skip
def test_a_systems_own_headers_are_read_as_its_manifest_says(
    headers: Mapping[str, str], named: LimitHeaders, expected: Learned | None
) -> None:
    assert learned(headers, NOW, named) == expected


def test_of_several_limits_the_strictest_counts() -> None:
    hour_and_minute = {
        "x-ratelimit-limit": "4000", "x-ratelimit-remaining": "3000", "x-ratelimit-ttl": "1800",
        "x-ratelimit-minute-limit": "360", "x-ratelimit-minute-remaining": "2", "x-ratelimit-minute-ttl": "30",
    }  # fmt: skip
    assert learned(hour_and_minute, NOW) == Learned(360, 2, 30)


def test_what_counts_something_else_than_requests_says_nothing() -> None:
    policy = '"size";q=1000;w=60;qu="content-bytes"'
    assert learned({"ratelimit": '"size";r=0;t=60', "ratelimit-policy": policy}, NOW) is None
    assert learned({"x-ms-ratelimit-burst-remaining-xrm-requests": "0"}, NOW) is None


def test_times_are_read_by_the_clock_of_the_system() -> None:
    an_hour_ahead = NOW + timedelta(hours=1)
    headers = {
        "date": an_hour_ahead.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(an_hour_ahead.timestamp()) + 8),
    }
    assert learned(headers, NOW) == Learned(None, 0, 8)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json", "x-generated": "1"},
        {"x-ratelimit-remaining": "many"},
        {"x-ratelimit-reset": "soon"},
        {"ratelimit": ";;;,,"},
        {"ratelimit": '"unclosed;r=1'},
        {"retry-after": "later"},
        {"x-ratelimit-remaining": "9" * 500},
    ],
)
def test_what_can_not_be_read_says_nothing(headers: Mapping[str, str]) -> None:
    assert learned(headers, NOW) is None


@pytest.mark.parametrize("end", ['"', "=", ";", ""])
@pytest.mark.parametrize("part", [";a=   ", ";a  ", '   ;a=" "', ";  ", ',"x"   '])
def test_a_hostile_value_is_read_in_a_time_that_grows_with_its_length(part: str, end: str) -> None:
    """Python holds its lock while it matches: minutes of it would stop every run of the process."""
    value = ("x" + part * 100)[:190] + end
    learned({"ratelimit": value, "ratelimit-policy": value}, NOW)


@pytest.mark.parametrize("reset", ["-5", "0", str(EPOCH - 60), "99999999999999999", "1999-01-01", "1e9", "٣"])
def test_a_reset_that_is_over_or_can_not_be_meant_is_none(reset: str) -> None:
    found = learned({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, NOW)
    assert found == Learned(None, 0, None)
    assert course(found) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Learned(100, 60, 30), None),
        (Learned(100, 25, 30), Course(25, 30)),
        (Learned(100, 60, 30, asked=5), Course(0, 5)),
        (Learned(100, 0, 30, asked=5), Course(0, 30)),
        (Learned(100, 0, 3, asked=5), Course(0, 5)),
        (Learned(100, 2, 30, asked=5), Course(0, 5)),
        (Learned(wait=9_000, asked=9_000), Course(0, 900)),
        (Learned(None, 50, 30), None),
        (Learned(None, 10, 30), Course(10, 30)),
        (Learned(100, 0, 30), Course(0, 30)),
        (Learned(100, 0, 0.2), Course(0, 1.0)),
        (Learned(100, 0, 86_000), Course(0, LONGEST)),
        (Learned(10_000, 100, 9000), Course(10, LONGEST)),
        (Learned(10_000, 1, 9000), Course(1, LONGEST)),
        (Learned(100, 0, None), None),
        (Learned(100, None, 30), None),
    ],
)
def test_little_left_is_spread_and_nothing_left_is_waited_for(
    found: Learned, expected: Course | None
) -> None:
    assert course(found) == expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "50"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 12:01:00 GMT"}, 60),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "50"}, 50),
        ({"x-ratelimit-reset": "50"}, 50),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "50"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "90000"}, 3600),
        ({}, None),
    ],
)
def test_a_refusal_is_waited_out_as_the_system_says(
    headers: Mapping[str, str], seconds: float | None
) -> None:
    assert wait_after_refusal(learned(headers, NOW)) == seconds


NAMES = st.sampled_from(
    ["ratelimit", "ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit", "x-ratelimit-remaining",
     "x-ratelimit-reset", "x-rate-limit-reset", "retry-after", "date", "x-ratelimit-minute-ttl"]
)  # fmt: skip
WORDS = st.one_of(
    st.text(max_size=30),
    st.text('0123456789.-;=,"rtqw ms:hTZ', max_size=40),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
)


@given(st.dictionaries(NAMES, WORDS, max_size=6))
def test_whatever_comes_it_never_breaks_and_never_slows_for_long(headers: dict[str, str]) -> None:
    found = learned(headers, NOW)
    if found is None:
        return
    way = course(found)
    if way is not None:
        assert 1 <= way.seconds <= LONGEST
        assert way.remaining >= 0
    wait = wait_after_refusal(found)
    assert wait is None or 1 <= wait <= 3600
