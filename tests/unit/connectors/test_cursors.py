"""Times and numbers of change: read from systems, said in requests, kept in the database."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.cursors import (
    FIRST,
    LAST,
    dump_cursor,
    format_cursor,
    load_cursor,
    parse_cursor,
    typed_json,
)
from worker.errors import BadRecord, InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.datetimes(timezones=st.just(UTC))
FORMATS = ["iso8601", "iso8601_ms", "date", "epoch_s", "epoch_ms", "number", "typed_json"]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("2026-01-31T08:00:00.000001Z", "iso8601", datetime(2026, 1, 31, 8, microsecond=1, tzinfo=UTC)),
        ("2026-01-31T08:00:00+05:30", "iso8601", datetime(2026, 1, 31, 2, 30, tzinfo=UTC)),
        ("2026-01-31 08:00:00", "iso8601", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31", "date", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31", "iso8601", datetime(2026, 1, 31, tzinfo=UTC)),
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


@given(MOMENTS, st.sampled_from(["iso8601", "iso8601_ms", "date", "epoch_s", "epoch_ms"]))
def test_rounding_never_narrows_a_window(moment: datetime, form: str) -> None:
    since = parse_cursor(format_cursor(moment, form), form)
    until = parse_cursor(format_cursor(moment, form, round_up=True), form)
    assert isinstance(since, datetime)
    assert isinstance(until, datetime)
    assert since <= moment
    assert until >= moment or moment > LAST - timedelta(days=1)


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
