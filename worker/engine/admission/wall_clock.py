"""When does the clock on the wall show a time? In any zone, also on the days on which the clocks are put forward or back."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo | None:
    """None where this machine doesn't know the zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def exists(day: date, zone: ZoneInfo) -> bool:
    """Whether the zone had such a day: islands have crossed the date line overnight."""
    return first_moment(day, time.min, zone).astimezone(zone).date() == day


def first_moment(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """When the clocks show it: the first time if twice, and if never, the moment they were put forward. In UTC."""
    local = datetime.combine(day, wall)
    early = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == local:
        return early
    # In a gap, fold 0 reckons with the offset before it and so lands after it, fold 1 the other way round.
    low, high = local.replace(tzinfo=zone, fold=1).astimezone(UTC), early
    seconds = range(int((high - low).total_seconds()) + 1)
    before = low.astimezone(zone).utcoffset()
    return low + timedelta(
        seconds=bisect_left(
            seconds, 1, key=lambda s: (low + timedelta(seconds=s)).astimezone(zone).utcoffset() != before
        )
    )


def last_moment(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The same, but the second time if twice."""
    local = datetime.combine(day, wall)
    late = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == local:
        return late
    return first_moment(day, wall, zone)


def turning_point(day: date, zone: ZoneInfo) -> datetime | None:
    """The first moment from this day's midnight on, to the second, at which the clocks are put forward or back.

    None: they aren't within two days.
    """
    start = first_moment(day, time.min, zone)
    seconds = range(2 * 86400)
    before = start.astimezone(zone).utcoffset()
    if (start + timedelta(seconds=len(seconds))).astimezone(zone).utcoffset() == before:
        return None
    return start + timedelta(
        seconds=bisect_left(
            seconds, 1, key=lambda s: (start + timedelta(seconds=s)).astimezone(zone).utcoffset() != before
        )
    )
