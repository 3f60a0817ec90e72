"""A day in one field and the time of day in another make one moment."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.clocks import parse_day_and_time
from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import Shape, TimeField
from worker.errors import BadRecord

BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 7, 1, 6, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "clock", "form"),
    [
        ("2026-07-01", "08:30:05", "date"), ("20260701", "083005", "date"), ("2026-07-01T00:00:00", 30605, "iso8601"),
        ("/Date(1782864000000)/", "PT8H30M5S", "odata_date"), ("2026-07-01 00:00:00", "08:30:05", "datetime"),
        ("2026-07-01T00:00:00Z", "08:30:05", "iso8601"), ("2026-07-01T00:00:00+09:00", "08:30:05", "iso8601"),
    ],
)  # fmt: skip
def test_they_are_put_together_before_the_zone_is_looked_at(day: Any, clock: Any, form: str) -> None:
    assert parse_day_and_time(day, clock, form, BERLIN) == MORNING


def test_a_day_without_a_time_is_its_beginning_and_no_day_is_nothing() -> None:
    assert parse_day_and_time("2026-07-01", None, "date", UTC) == datetime(2026, 7, 1, tzinfo=UTC)
    assert [parse_day_and_time(day, "080000", "date", UTC) for day in (None, "", "00000000")] == [None] * 3


@pytest.mark.parametrize(
    ("day", "clock"), [("2026-13-01", None), ("20261301", None), ("2026-07-01", "25:00"), ("2026-07-01", -1),
                       ("2026-07-01", True), ("2026-07-01", "PT25H"), ({}, None), ("2026-07-01", "250000")]
)  # fmt: skip
def test_nonsense_is_a_bad_record(day: Any, clock: Any) -> None:
    with pytest.raises(BadRecord) as caught:
        parse_day_and_time(day, clock, "date", UTC)
    assert caught.value.code == "bad_cursor"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_what_was_taken_apart_comes_together_again(moment: datetime) -> None:
    local = moment.astimezone(BERLIN)
    found = parse_day_and_time(f"{local:%Y%m%d}", f"{local:%H:%M:%S.%f}", "date", BERLIN)
    assert found is not None
    assert moment - found in {timedelta(), timedelta(hours=1)}, "of an hour that comes twice, the first"


@pytest.mark.parametrize("bad", [False, True])
def test_records_are_read_by_both_fields_alone_and_as_a_page(bad: bool) -> None:
    when = TimeField((("day",), ("clock",)), "date", BERLIN, together=True)
    reader = Reader(Shape((), (("id",),), cursor=when, updated_at=when))
    others = b',{"id":null}' if bad else b""
    found = reader.read(b'[{"id":1,"day":"20260701","clock":"083005"},{"id":2,"day":null}' + others + b"]")
    assert [(record.cursor, record.updated_at) for record in found.records] == [
        (MORNING, MORNING),
        (None, None),
    ]
