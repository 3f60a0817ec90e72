"""When is a stream due next? Tried in every zone, over every change of the clocks."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.beat.due import AT_SPREAD, next_due

ZONES = sorted(available_timezones() - {"Factory"})
DAY = 86400

# No island crossed the date line in these years.
instants = st.datetimes(datetime(2013, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
intervals = st.integers(60, 7 * DAY).map(lambda seconds: {"every": seconds})
walls = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
daily = st.builds(
    lambda days, at, zone: {"every": days * DAY, "at": at, "timezone": zone},
    st.integers(1, 7),
    walls,
    st.sampled_from(ZONES),
)
schedules = st.one_of(intervals, daily)
stream_ids = st.integers(1, 2**63 - 1)


def local(day: date, at: str, zone: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), ZoneInfo(zone))


@given(schedules, instants, stream_ids)
def test_the_next_point_lies_strictly_ahead_and_in_utc(
    schedule: dict[str, Any], after: datetime, stream_id: int
) -> None:
    due = next_due(schedule, after, stream_id=stream_id)
    assert due > after
    assert due.utcoffset() == timedelta(0)


@given(intervals, instants, stream_ids)
def test_an_interval_is_never_stretched(schedule: dict[str, Any], after: datetime, stream_id: int) -> None:
    first = next_due(schedule, after, stream_id=stream_id)
    assert first - after <= timedelta(seconds=schedule["every"])
    assert next_due(schedule, first, stream_id=stream_id) - first == timedelta(seconds=schedule["every"])


@given(daily, instants, stream_ids)
def test_days_are_never_stretched_by_more_than_the_clocks_move(
    schedule: dict[str, Any], after: datetime, stream_id: int
) -> None:
    due = next_due(schedule, after, stream_id=stream_id)
    # Clocks move by up to three hours at once (Antarctica), and a point that fell into a gap comes later than its wall time.
    assert due - after <= timedelta(seconds=schedule["every"]) + timedelta(hours=6) + AT_SPREAD


@given(schedules, instants, stream_ids)
def test_no_point_is_left_out_on_the_way(schedule: dict[str, Any], after: datetime, stream_id: int) -> None:
    """Whoever asks at any moment before a point is told that point."""
    due = next_due(schedule, after, stream_id=stream_id)
    between = after + (due - after) / 2
    assert next_due(schedule, between, stream_id=stream_id) == due
    assert next_due(schedule, due - timedelta(microseconds=1), stream_id=stream_id) == due


@given(schedules, instants, st.timedeltas(timedelta(0), timedelta(days=60)), stream_ids)
def test_an_outage_owes_one_run_and_not_a_backlog(
    schedule: dict[str, Any], last: datetime, outage: timedelta, stream_id: int
) -> None:
    now = last + outage
    waiting = next_due(schedule, last, stream_id=stream_id)
    runs = 0
    while waiting <= now:  # as beat does: one run, then the next point after now
        runs += 1
        waiting = next_due(schedule, now, stream_id=stream_id)
    assert runs <= 1


@given(st.sampled_from(ZONES), walls, instants, stream_ids)
def test_a_daily_time_comes_once_for_each_local_day(
    zone: str, at: str, after: datetime, stream_id: int
) -> None:
    schedule = {"every": DAY, "at": at, "timezone": zone}
    due = next_due(schedule, after, stream_id=stream_id)
    expected = due.astimezone(ZoneInfo(zone)).date()
    for _ in range(400):  # a year holds every change of the clocks
        shown = due.astimezone(ZoneInfo(zone))
        wall = local(expected, at, zone)
        in_a_gap = wall.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != wall.replace(
            tzinfo=None
        )
        if in_a_gap:
            assert shown.replace(tzinfo=None) > wall.replace(tzinfo=None)
        else:
            assert timedelta(0) <= due - wall.astimezone(UTC) < AT_SPREAD
        due = next_due(schedule, due, stream_id=stream_id)
        expected += timedelta(days=1)


def test_a_time_that_is_left_out_runs_when_the_clocks_were_put_forward() -> None:
    schedule = {"every": DAY, "at": "02:30", "timezone": "Europe/Berlin"}
    due = next_due(schedule, datetime(2026, 3, 28, 12, tzinfo=UTC), stream_id=7)
    assert timedelta(0) <= due - datetime(2026, 3, 29, 1, tzinfo=UTC) < AT_SPREAD


def test_a_time_that_comes_twice_runs_the_first_time_only() -> None:
    schedule = {"every": DAY, "at": "02:30", "timezone": "Europe/Berlin"}
    due = next_due(schedule, datetime(2026, 10, 24, 12, tzinfo=UTC), stream_id=7)
    assert timedelta(0) <= due - datetime(2026, 10, 25, 0, 30, tzinfo=UTC) < AT_SPREAD
    following = next_due(schedule, due, stream_id=7)
    assert timedelta(0) <= following - datetime(2026, 10, 26, 1, 30, tzinfo=UTC) < AT_SPREAD


@pytest.mark.parametrize(
    ("zone", "at", "put_forward"),
    [
        ("America/Havana", "00:15", datetime(2026, 3, 8, 5, tzinfo=UTC)),  # from midnight to one o'clock
        ("Australia/Lord_Howe", "02:15", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),  # by half an hour
        (
            "America/Nuuk",
            "23:30",
            datetime(2026, 3, 29, 1, tzinfo=UTC),
        ),  # from eleven to midnight, into the next day
    ],
)
def test_odd_gaps_run_at_their_end(zone: str, at: str, put_forward: datetime) -> None:
    schedule = {"every": DAY, "at": at, "timezone": zone}
    due = next_due(schedule, put_forward - timedelta(hours=10), stream_id=7)
    assert timedelta(0) <= due - put_forward < AT_SPREAD


def test_a_day_that_never_was_has_no_run() -> None:
    """Samoa went from the 29th of December 2011 to the 31st."""
    schedule = {"every": DAY, "at": "02:00", "timezone": "Pacific/Apia"}
    first = next_due(schedule, datetime(2011, 12, 29, tzinfo=UTC), stream_id=7)
    days = []
    for _ in range(3):
        days.append(first.astimezone(ZoneInfo("Pacific/Apia")).day)
        first = next_due(schedule, first, stream_id=7)
    assert days == [29, 31, 1]


def test_every_seven_days_at_a_time_is_on_sundays() -> None:
    schedule = {"every": 7 * DAY, "at": "03:00", "timezone": "America/New_York"}
    due = next_due(schedule, datetime(2026, 11, 24, tzinfo=UTC), stream_id=7)
    assert due.astimezone(ZoneInfo("America/New_York")).date() == date(2026, 11, 29)


def test_streams_of_one_interval_are_spread_over_it() -> None:
    after = datetime(2026, 11, 24, tzinfo=UTC)
    minutes = {
        int((next_due({"every": 900}, after, stream_id=stream) - after).total_seconds() // 60)
        for stream in range(1, 500)
    }
    assert minutes == set(range(15))


def test_a_stream_keeps_its_place_on_every_machine() -> None:
    """The hash is part of what beats of different versions agree on."""
    due = next_due({"every": 900}, datetime(2026, 11, 24, tzinfo=UTC), stream_id=1)
    assert due == datetime(2026, 11, 24, 0, 9, 54, 420000, tzinfo=UTC)


def test_a_zone_that_this_machine_does_not_know_leaves_the_interval() -> None:
    schedule = {"every": DAY, "at": "02:00", "timezone": "Mars/Olympus_Mons"}
    after = datetime(2026, 11, 24, tzinfo=UTC)
    assert timedelta(0) < next_due(schedule, after, stream_id=7) - after <= timedelta(days=1)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Europe/Berlin\0", ""])
def test_a_hostile_zone_stops_no_beat(zone: str) -> None:
    schedule = {"every": DAY, "at": "02:00", "timezone": zone}
    assert next_due(schedule, datetime(2026, 11, 24, tzinfo=UTC), stream_id=7) > datetime(
        2026, 11, 24, tzinfo=UTC
    )
