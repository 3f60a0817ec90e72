"""When is a stream due next?

Pure arithmetic on a schedule as it stands on the stream's row: `{"every": seconds}`, or
`{"every": 86400 * days, "at": "HH:MM", "timezone": name}`. The answer depends on nothing but the schedule, the stream
and `after`, so any number of beats agree, and whoever was away for a week owes one run: the next point after now.

Points are spread: streams of one interval don't all start at the full minute.
"""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import xxhash

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86400
AT_SPREAD = timedelta(seconds=60)
"""How far runs of one wall time are spread: they start within the minute that was asked for."""

_MILLISECOND = timedelta(milliseconds=1)


def next_due(schedule: Mapping[str, Any], after: datetime, *, stream_id: int) -> datetime:
    """The first point strictly after `after`, in UTC."""
    every = timedelta(seconds=schedule["every"])
    zone = _zone(schedule.get("timezone", "UTC")) if "at" in schedule else None
    if zone is None:
        return _next_on_grid(every, after, _offset(stream_id, every))
    wall = time.fromisoformat(schedule["at"])
    return _next_at_wall_time(every.days, wall, zone, after, _offset(stream_id, AT_SPREAD))


def _next_on_grid(every: timedelta, after: datetime, offset: timedelta) -> datetime:
    passed = (after - EPOCH - offset) // every
    return EPOCH + offset + (passed + 1) * every


def _next_at_wall_time(days: int, wall: time, zone: ZoneInfo, after: datetime, offset: timedelta) -> datetime:
    """Days are counted by the calendar of the zone, from the same day for all: every 7 days is every Sunday."""
    # A day before: a gap at midnight or the offset may have carried yesterday's point into today.
    ordinal = after.astimezone(zone).date().toordinal() - 1
    ordinal += -ordinal % days
    while True:
        day = date.fromordinal(ordinal)
        if _exists(day, zone) and (due := _instant(day, wall, zone) + offset) > after:
            return due
        ordinal += days


def _exists(day: date, zone: ZoneInfo) -> bool:
    """Whether the zone had such a day: islands have crossed the date line overnight."""
    return _instant(day, time.min, zone).astimezone(zone).date() == day


def _instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """When the clocks on the wall show it: the first time if twice, and if never, the moment they were put forward."""
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


def place(stream_id: int) -> int:
    """A stream's own place in any interval, the same for ever and on every machine; as a bigint holds the 64 bits.

    `headrace_next_point` reckons with it what `next_due` does, for plain intervals.
    """
    return int.from_bytes(xxhash.xxh64_digest(str(stream_id)), signed=True)


def _offset(stream_id: int, within: timedelta) -> timedelta:
    return (xxhash.xxh64_intdigest(str(stream_id)) % (within // _MILLISECOND)) * _MILLISECOND


def _zone(name: str) -> ZoneInfo | None:
    """None where this machine doesn't know the zone: the stream then keeps its interval, and no beat stops over it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
