"""When is a stream of a plant with windows due next?"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.beat.due import AT_SPREAD, next_due
from worker.engine.admission.opening import DAYS, is_open, next_opening, read_windows

DAY = 86400
WEEKDAYS = list(DAYS[:5])
NIGHTS = {"timezone": "Europe/Berlin", "allow": [{"days": WEEKDAYS, "from": "18:00", "to": "06:00"}]}
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Santiago",
)

walls = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
spans = st.fixed_dictionaries(
    {"days": st.lists(st.sampled_from(DAYS), min_size=1), "from": walls, "to": walls}
)
windows = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(ZONES),
        "allow": st.lists(spans, max_size=2),
        "deny": st.lists(spans, max_size=1),
    }
)
schedules = st.one_of(
    st.integers(60, 7 * DAY).map(lambda seconds: {"every": seconds}),
    st.builds(
        lambda days, at: {"every": days * DAY, "at": at, "timezone": "Asia/Tokyo"}, st.integers(1, 7), walls
    ),
)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def due(schedule: dict[str, Any], after: str) -> datetime:
    return next_due(schedule, datetime.fromisoformat(after), stream_id=7)


@given(schedules, windows, moments)
def test_scheduled_points_fall_only_into_open_times(
    schedule: dict[str, Any], option: dict[str, Any], after: datetime
) -> None:
    found = next_due({**schedule, "windows": option}, after, stream_id=7)
    assert found > after
    opens = next_opening(read_windows(option), found)
    assert opens is None or opens == found


@given(schedules, windows, moments)
def test_a_point_that_is_open_stays_where_it_was(
    schedule: dict[str, Any], option: dict[str, Any], after: datetime
) -> None:
    plain = next_due(schedule, after, stream_id=7)
    if is_open(read_windows(option), plain):
        assert next_due({**schedule, "windows": option}, after, stream_id=7) == plain


@given(schedules, windows, moments, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_a_closed_time_owes_one_run_and_not_a_backlog(
    schedule: dict[str, Any], option: dict[str, Any], last: datetime, away: timedelta
) -> None:
    schedule, now = {**schedule, "windows": option}, last + away
    waiting, runs = next_due(schedule, last, stream_id=7), 0
    while waiting <= now:
        runs += 1
        waiting = next_due(schedule, now, stream_id=7)
    assert runs <= 1


def test_what_was_due_by_day_runs_within_the_minute_of_the_opening() -> None:
    opening = datetime(2026, 11, 26, 17, tzinfo=UTC)
    for every in (900, DAY):
        found = due({"every": every, "windows": NIGHTS}, "2026-11-26T06:00Z")
        assert timedelta(0) <= found - opening < AT_SPREAD


def test_not_all_streams_begin_at_the_moment_of_the_opening() -> None:
    schedule = {"every": 900, "windows": NIGHTS}
    after = datetime(2026, 11, 26, 6, tzinfo=UTC)
    assert len({next_due(schedule, after, stream_id=number) for number in range(20)}) > 15


def test_a_plain_schedule_goes_on_while_it_is_open() -> None:
    schedule = {"every": 900, "windows": NIGHTS}
    first = due(schedule, "2026-11-26T20:00Z")
    assert next_due(schedule, first, stream_id=7) - first == timedelta(minutes=15)


def test_the_spread_stays_inside_the_shortest_window() -> None:
    option = {"allow": [{"from": "12:00", "to": "12:01"}]}
    schedule, after = {"every": DAY, "windows": option}, datetime(2026, 11, 26, 13, tzinfo=UTC)
    for number in range(200):
        assert is_open(read_windows(option), next_due(schedule, after, stream_id=number))


def test_windows_that_never_open_leave_the_points_where_they_are() -> None:
    schedule = {"every": 900, "windows": {"deny": [{}]}}
    assert due(schedule, "2026-11-26T20:00Z") == due({"every": 900}, "2026-11-26T20:00Z")
