"""When may a plant's system be asked? Tried against the clock on the wall, in every zone, over every change of the clocks."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.engine.admission.opening import (
    DAYS,
    UNTIL_CHANGED,
    is_open,
    keep_to_windows,
    never_opens,
    next_opening,
    open_until,
    read_windows,
)
from worker.errors import NotNow
from worker.runs.states import Lane

ZONES = sorted(available_timezones() - {"Factory"})
NIGHTS = {"timezone": "Europe/Berlin", "allow": [{"days": ["mon", "fri"], "from": "18:00", "to": "06:00"}]}

walls = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30]))
spans = st.fixed_dictionaries(
    {
        "days": st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
        "from": walls,
        "to": st.one_of(walls, st.just("24:00")),
    }
)
options = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(ZONES),
        "allow": st.lists(spans, max_size=2),
        "deny": st.lists(spans, max_size=2),
    }
)
moments = st.datetimes(datetime(2013, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def on_the_wall(option: dict[str, Any], moment: datetime) -> bool:
    """The same rule, written down as one would say it."""
    local = moment.astimezone(ZoneInfo(option["timezone"]))
    today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    shown = f"{local:%H:%M}"

    def holds(span: dict[str, Any]) -> bool:
        start, end = span["from"], span["to"]
        if end > start:
            return today in span["days"] and start <= shown < end
        return (today in span["days"] and shown >= start) or (yesterday in span["days"] and shown < end)

    allowed = not option.get("allow") or any(map(holds, option["allow"]))
    return allowed and not any(map(holds, option.get("deny", ())))


@given(options, moments)
def test_it_is_open_as_the_clock_on_the_wall_says(option: dict[str, Any], moment: datetime) -> None:
    assert is_open(read_windows(option), moment) == on_the_wall(option, moment)


@given(options, moments, st.floats(0.0, 1.0))
@example(  # the night on which the clocks are put back: 02:30 comes twice
    {"timezone": "Europe/Berlin", "allow": [{"days": ["sun"], "from": "02:15", "to": "02:45"}], "deny": []},
    datetime(2026, 10, 25, 0, 46, tzinfo=UTC),
    0.5,
)
@example(  # … and put forward: it never comes
    {"timezone": "Europe/Berlin", "allow": [{"days": ["sun"], "from": "02:15", "to": "02:45"}], "deny": []},
    datetime(2026, 3, 29, 0, 0, tzinfo=UTC),
    0.5,
)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    option: dict[str, Any], moment: datetime, share: float
) -> None:
    windows = read_windows(option)
    opening = next_opening(windows, moment)
    if opening is None:
        assert never_opens(windows)
        return
    assert opening >= moment
    assert is_open(windows, opening)
    if opening > moment:
        assert not is_open(windows, opening - timedelta(microseconds=1))
        assert not is_open(windows, moment + (opening - moment) * share * 0.999999)


@given(options, moments, st.floats(0.0, 1.0))
def test_it_stays_open_until_it_closes(option: dict[str, Any], moment: datetime, share: float) -> None:
    windows = read_windows(option)
    opening = next_opening(windows, moment)
    if opening is None:
        return
    closing = open_until(windows, opening)
    if closing is None:
        assert is_open(windows, opening + timedelta(days=7) * share)
        return
    assert closing > opening
    assert not is_open(windows, closing)
    assert is_open(windows, opening + (closing - opening) * share * 0.999999)


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        ("2026-10-23T15:59Z", "2026-10-23T16:00Z"),  # a Friday in summer time
        ("2026-10-24T03:59Z", "2026-10-24T03:59Z"),  # Saturday, but Friday's night
        ("2026-10-24T04:00Z", "2026-10-26T17:00Z"),  # until Monday, in winter time by then
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, opening: str) -> None:
    assert next_opening(read_windows(NIGHTS), datetime.fromisoformat(moment)) == datetime.fromisoformat(
        opening
    )


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Santiago", "2026-09-06", 23),  # at midnight: the day begins at 01:00
        ("Asia/Kolkata", "2026-03-29", 24),
    ],
)
def test_a_whole_day_is_as_long_as_its_clocks_make_it(zone: str, day: str, hours: float) -> None:
    name = DAYS[datetime.fromisoformat(day).weekday()]
    windows = read_windows({"timezone": zone, "allow": [{"days": [name]}]})
    opening = next_opening(windows, datetime.fromisoformat(f"{day}T12:00Z") - timedelta(days=2))
    assert opening is not None
    closing = open_until(windows, opening)
    assert closing is not None
    assert (closing - opening).total_seconds() == hours * 3600


@pytest.mark.parametrize(
    ("allowed", "moment", "opening", "closing"),
    [
        # 2026-10-25, 03:00 is put back to 02:00 at 01:00Z: what that brings back, or shows a second time, is open again
        (("02:10", "02:30"), "2026-10-25T00:40Z", "2026-10-25T01:10Z", "2026-10-25T01:30Z"),
        (("01:30", "02:30"), "2026-10-25T00:45Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"),
        (("02:45", "03:15"), "2026-10-25T00:50Z", "2026-10-25T00:50Z", "2026-10-25T01:00Z"),
        # 2026-03-29, 02:00 is put forward to 03:00 at 01:00Z
        (("02:15", "03:15"), "2026-03-29T00:30Z", "2026-03-29T01:00Z", "2026-03-29T01:15Z"),
    ],
)
def test_windows_open_and_close_where_the_clocks_are_changed(
    allowed: tuple[str, str], moment: str, opening: str, closing: str
) -> None:
    start, end = allowed
    windows = read_windows({"timezone": "Europe/Berlin", "allow": [{"from": start, "to": end}]})
    found = next_opening(windows, datetime.fromisoformat(moment))
    assert found == datetime.fromisoformat(opening)
    assert open_until(windows, found) == datetime.fromisoformat(closing)


def test_denied_times_win_over_allowed_ones() -> None:
    windows = read_windows(
        {"allow": [{"from": "08:00", "to": "20:00"}], "deny": [{"from": "12:00", "to": "13:00"}]}
    )
    noon = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
    assert not is_open(windows, noon)
    assert next_opening(windows, noon) == noon.replace(hour=13, minute=0)
    assert open_until(windows, noon.replace(hour=13)) == noon.replace(hour=20, minute=0)


def a_run(lane: Lane, **options: Any) -> Any:
    return SimpleNamespace(options=options, lane=int(lane))


CLOSED = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("lane", [Lane.SCHEDULED, Lane.BACKFILL])
def test_a_scheduled_run_waits_for_the_opening(lane: Lane) -> None:
    with pytest.raises(NotNow) as raised:
        keep_to_windows(a_run(lane, windows=NIGHTS), CLOSED)
    assert raised.value.reason == "window"
    assert raised.value.resume_at == datetime(2026, 10, 26, 17, 0, tzinfo=UTC)
    assert "2026-10-26 17:00 UTC" in str(raised.value)


@pytest.mark.parametrize("lane", [Lane.ON_DEMAND, Lane.WEBHOOK])
def test_people_and_webhooks_may_ask_at_any_time_unless_the_windows_say_otherwise(lane: Lane) -> None:
    keep_to_windows(a_run(lane, windows=NIGHTS), CLOSED)
    with pytest.raises(NotNow):
        keep_to_windows(a_run(lane, windows={**NIGHTS, "on_demand": False}), CLOSED)


def test_without_windows_every_time_is_open() -> None:
    keep_to_windows(a_run(Lane.SCHEDULED), CLOSED)


def test_a_run_of_windows_that_never_open_looks_again_tomorrow() -> None:
    with pytest.raises(NotNow) as raised:
        keep_to_windows(a_run(Lane.SCHEDULED, windows={"deny": [{}]}), CLOSED)
    assert raised.value.resume_at == CLOSED + UNTIL_CHANGED
