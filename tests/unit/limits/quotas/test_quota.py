"""When a quota begins anew, in whatever time zone its system lives."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.limits.policy import Rule
from worker.limits.quotas.quota import EPOCH, block_of, counted_for_good, name_of, period_of

zones = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - it is made UTC below


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


@given(moment=moments, zone=zones, resets=clocks, period=st.sampled_from(["day", "month"]))
def test_every_moment_lies_in_one_period_and_periods_follow_each_other(
    moment: datetime, zone: str, resets: str, period: str
) -> None:
    rule = Rule(quota=10, period=period, resets=resets, timezone=zone)  # type: ignore[arg-type]
    now = _micros(moment.replace(tzinfo=UTC))
    began, ends = period_of(rule, now)
    assert began <= now < ends
    assert period_of(rule, ends)[0] == ends
    assert period_of(rule, ends - 1) == (began, ends)
    days = (ends - began) / 86_400e6
    assert (0.9 < days < 1.1) if period == "day" else (27.9 < days < 31.1)


@pytest.mark.parametrize(
    ("now", "began", "ends"),
    [
        (
            "2026-03-28T23:30+00:00",
            "2026-03-28T23:00+00:00",
            "2026-03-29T22:00+00:00",
        ),  # the clocks go forward
        ("2026-10-25T12:00+00:00", "2026-10-24T22:00+00:00", "2026-10-25T23:00+00:00"),  # and back
    ],
)
def test_a_day_is_as_long_as_it_is_there(now: str, began: str, ends: str) -> None:
    rule = Rule(quota=10, timezone="Europe/Berlin")
    found = period_of(rule, _micros(datetime.fromisoformat(now)))
    assert [_moment(one) for one in found] == [datetime.fromisoformat(began), datetime.fromisoformat(ends)]


def test_a_month_begins_on_its_first_day_at_the_systems_hour() -> None:
    rule = Rule(quota=10, period="month", resets="06:00", timezone="America/New_York")
    now = datetime(2026, 3, 1, 3, tzinfo=ZoneInfo("America/New_York"))
    began, ends = (_moment(one) for one in period_of(rule, _micros(now.astimezone(UTC))))
    assert began == datetime(2026, 2, 1, 6, tzinfo=ZoneInfo("America/New_York"))
    assert ends == datetime(2026, 3, 1, 6, tzinfo=ZoneInfo("America/New_York"))


def test_what_outlives_valkey_is_what_it_must_not_forget() -> None:
    assert counted_for_good(Rule(quota=5))
    assert counted_for_good(Rule(requests=4000, per=3600.0))
    assert not counted_for_good(Rule(requests=5, per=3600.0)), "blocks would be too large a part of it"
    assert not counted_for_good(Rule(requests=4000, per=60.0))
    assert not counted_for_good(Rule(concurrency=5))


def test_a_block_is_a_small_part_and_at_least_what_is_asked() -> None:
    assert [block_of(Rule(quota=n), 1) for n in (5, 1000, 10_000, 10_000_000)] == [1, 5, 50, 1000]
    assert block_of(Rule(quota=1000), 30) == 30
    assert [block_of(Rule(requests=1000, per=3600.0), cost) for cost in (1, 5, 6)] == [5, 5, 10]


def test_a_quota_of_another_period_is_another_quota_and_a_raised_one_the_same() -> None:
    assert name_of(Rule(quota=5)) == name_of(Rule(quota=6))
    assert (
        len({name_of(Rule(quota=5)), name_of(Rule(quota=5, period="month")), name_of(Rule(requests=5))}) == 3
    )
