"""Times and numbers of change: read from systems, said in requests, kept in the database."""

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.cursors import (
    FIRST,
    LAST,
    comes_twice,
    dump_cursor,
    format_cursor,
    load_cursor,
    parse_cursor,
    typed_json,
)
from worker.errors import BadRecord, InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.datetimes(timezones=st.just(UTC))
FORMATS = [
    "iso8601", "iso8601_ms", "date", "datetime", "odata_date", "epoch_s", "epoch_ms", "number", "typed_json",
]  # fmt: skip
ASKED = ["iso8601", "iso8601_ms", "date", "datetime", "odata_date", "epoch_s", "epoch_ms"]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("2026-01-31T08:00:00.000001Z", "iso8601", datetime(2026, 1, 31, 8, microsecond=1, tzinfo=UTC)),
        ("2026-01-31T08:00:00+05:30", "iso8601", datetime(2026, 1, 31, 2, 30, tzinfo=UTC)),
        ("2026-01-31 08:00:00", "iso8601", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31", "date", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31", "iso8601", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31 08:00:00.5", "datetime", datetime(2026, 1, 31, 8, microsecond=500_000, tzinfo=UTC)),
        ("/Date(1769846400123)/", "odata_date", datetime(2026, 1, 31, 8, microsecond=123_000, tzinfo=UTC)),
        ("/Date(1769846400123+0060)/", "odata_date", datetime(2026, 1, 31, 8, microsecond=123_000, tzinfo=UTC)),
        ("/Date(-1000)/", "odata_date", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31T08:00:00Z", "odata_date", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        (1_769_846_400, "epoch_s", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("1769846400123", "epoch_ms", datetime(2026, 1, 31, 8, microsecond=123_000, tzinfo=UTC)),
        (1_769_846_400.5, "epoch_s", datetime(2026, 1, 31, 8, microsecond=500_000, tzinfo=UTC)),
        (42, "number", 42),
        ("42", "number", 42),
        ({"__class__": "datetime", "year": 2026, "month": 1, "day": 31, "microsecond": 7}, "typed_json",
         datetime(2026, 1, 31, microsecond=7, tzinfo=UTC)),
        (None, "iso8601", None),
        ("", "iso8601", None),
    ],
)  # fmt: skip
def test_reads_what_systems_write(value: Any, form: str, expected: Any) -> None:
    assert parse_cursor(value, form) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0000-00-00T00:00:00Z", FIRST),
        ("0001-01-01T00:00:00+14:00", FIRST),
        ("9999-12-31T23:59:59-05:00", LAST),
        ("9999-12-31T23:59:59.999999Z", LAST),
        ("0001-01-01T00:00:00Z", FIRST),
    ],
)
def test_times_beyond_what_can_be_told_become_the_first_or_last_moment(
    value: str, expected: datetime
) -> None:
    assert parse_cursor(value, "iso8601") == expected


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("yesterday", "iso8601"), ("2026-02-30T00:00:00Z", "iso8601"), (True, "iso8601"), ({}, "iso8601"), ([], "date"),
        (5, "iso8601"), (True, "epoch_s"), (float("nan"), "epoch_s"), (float("inf"), "epoch_ms"), ("x", "epoch_s"),
        (1.5, "number"), (True, "number"), (2**63, "number"), ("9" * 19, "number"), ({"year": 2026}, "typed_json"),
        ({"year": 2026, "month": 13, "day": 1}, "typed_json"), ({"year": 10**30, "month": 1, "day": 1}, "typed_json"),
        ("\ud800", "iso8601"), ("2026-01-01T00:00:00Z" * 1000, "iso8601"), (-(10**400), "number"),
    ],
)  # fmt: skip
def test_nonsense_is_a_bad_record_in_few_words(value: Any, form: str) -> None:
    with pytest.raises(BadRecord) as caught:
        parse_cursor(value, form)
    assert caught.value.code == "bad_cursor"
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("value", [10**300, -(10**300), 1e300])
def test_epochs_beyond_the_calendar_are_its_ends(value: float) -> None:
    assert parse_cursor(value, "epoch_s") in {FIRST, LAST}


def test_times_without_an_offset_are_read_in_the_manifests_zone() -> None:
    assert parse_cursor("2026-07-01T10:00:00", "iso8601", BERLIN) == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert parse_cursor("2026-07-01T10:00:00Z", "iso8601", BERLIN) == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_odata_counts_in_the_zones_own_time_unless_an_offset_stands_behind_it() -> None:
    summer = datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert parse_cursor("/Date(1782900000000)/", "odata_date", BERLIN) == summer
    assert parse_cursor("/Date(1782892800000+0120)/", "odata_date", BERLIN) == summer


def test_an_hour_that_comes_twice_is_read_as_the_earlier() -> None:
    assert parse_cursor("2026-10-25T02:30:00", "iso8601", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_requests_say_times_in_the_format_and_zone() -> None:
    moment = datetime(2026, 7, 1, 22, 30, 0, 123_456, tzinfo=UTC)
    assert format_cursor(moment, "iso8601") == "2026-07-01T22:30:00.123456Z"
    assert format_cursor(moment, "iso8601_ms") == "2026-07-01T22:30:00.123Z"
    assert format_cursor(moment, "iso8601_ms", round_up=True) == "2026-07-01T22:30:00.124Z"
    assert format_cursor(moment, "date", BERLIN) == "2026-07-02"
    assert format_cursor(moment, "date", round_up=True) == "2026-07-02"
    assert format_cursor(moment, "epoch_s") == "1782945000"
    assert format_cursor(42, "number") == "42"

    assert format_cursor(moment, "datetime") == "2026-07-01 22:30:00.123456"
    assert format_cursor(moment.replace(microsecond=0), "datetime", BERLIN) == "2026-07-02 00:30:00"
    assert format_cursor(moment, "odata_date") == "2026-07-01T22:30:00.123"
    assert format_cursor(moment, "iso8601", precision="s") == "2026-07-01T22:30:00Z"
    assert format_cursor(moment, "datetime", round_up=True, precision="s") == "2026-07-01 22:30:01"
    assert format_cursor(moment, "epoch_s", round_up=True, precision="m") == "1782945060"
    assert format_cursor(moment, "iso8601", BERLIN, precision="d") == "2026-07-02T00:00:00+02:00"


@given(
    MOMENTS,
    st.sampled_from(ASKED),
    st.sampled_from([UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]),
    st.sampled_from([None, "us", "ms", "s", "m", "d"]),
)
def test_rounding_never_narrows_a_window(
    moment: datetime, form: str, zone: tzinfo, precision: str | None
) -> None:
    since = parse_cursor(format_cursor(moment, form, zone, precision=precision), form, zone)
    until = parse_cursor(format_cursor(moment, form, zone, round_up=True, precision=precision), form, zone)
    assert isinstance(since, datetime)
    assert isinstance(until, datetime)
    assert since <= moment or moment < FIRST + timedelta(days=2)
    assert until >= moment or moment > LAST - timedelta(days=2)


FOLD = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""In Berlin, the clocks are put back from 3:00 to 2:00 then."""


def written(moment: datetime) -> str:
    """As a system writes it whose column has no offset."""
    return moment.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S")


@given(st.integers(-7200, 7200), st.integers(0, 7200), st.integers(0, 600))
def test_what_changes_in_an_hour_that_comes_twice_is_asked_for(seen: int, after: int, overlap: int) -> None:
    """A run saw a change; another comes later. The next run's bound, as the system compares texts, lets it through."""
    last, change = FOLD + timedelta(seconds=seen), FOLD + timedelta(seconds=seen + after)
    watermark = parse_cursor(written(last), "datetime", BERLIN)
    assert isinstance(watermark, datetime)
    asked = format_cursor(watermark - timedelta(seconds=overlap), "datetime", BERLIN, precision="s")
    assert asked <= written(change)


def test_only_an_hour_that_comes_twice_does() -> None:
    assert [comes_twice(FOLD + timedelta(hours=hours), BERLIN) for hours in (-2, -1, 0, 1)] == [
        False,
        True,
        True,
        False,
    ]
    assert not comes_twice(FOLD, UTC)
    spring = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert not any(comes_twice(spring + timedelta(minutes=m), BERLIN) for m in range(-120, 120, 15))


@given(MOMENTS)
def test_typed_json_reads_back_exactly(moment: datetime) -> None:
    assert parse_cursor(json.loads(json.dumps(typed_json(moment))), "typed_json") == moment


@given(MOMENTS | st.integers(-(2**63), 2**63 - 1))
def test_what_is_stored_reads_back_exactly(value: datetime | int) -> None:
    stored = json.loads(json.dumps(dump_cursor(value)))
    assert load_cursor(stored, timestamps=isinstance(value, datetime)) == value


@given(MOMENTS, MOMENTS)
def test_stored_times_sort_like_times(first: datetime, second: datetime) -> None:
    assert (str(dump_cursor(first)) < str(dump_cursor(second))) == (first < second)


def test_a_stored_time_is_in_utc_whatever_it_was() -> None:
    moment = datetime(2026, 1, 31, 8, tzinfo=timezone(timedelta(hours=2)))
    assert dump_cursor(moment) == "2026-01-31T06:00:00.000000Z"


@pytest.mark.parametrize(
    ("stored", "timestamps"), [("x", True), (5, True), ("5", False), (True, False), (None, True)]
)
def test_a_stored_cursor_of_the_wrong_kind_is_refused(stored: Any, timestamps: bool) -> None:
    with pytest.raises(InvalidInput):
        load_cursor(stored, timestamps=timestamps)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=4,
    ),
    st.sampled_from(FORMATS),
)
def test_any_value_is_a_cursor_nothing_or_a_bad_record(value: Any, form: str) -> None:
    try:
        found = parse_cursor(value, form)
    except BadRecord:
        return
    assert found is None or isinstance(found, int) or found.tzinfo is not None
