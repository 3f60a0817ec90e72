"""When is a stream due next?

Pure arithmetic on a schedule as it stands on the stream's row: `{"every": seconds}`, or
`{"every": 86400 * days, "at": "HH:MM", "timezone": name}`, with the plant's `windows` where it has some. The answer depends on nothing but the schedule, the stream
and `after`, so any number of beats agree, and whoever was away for a week owes one run: the next point after now.

Points are spread: streams of one interval don't all start at the full minute, nor when a window opens. A point that
falls where the windows are closed moves to their opening: one run is owed then, however many were left out.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import xxhash

from worker.engine.admission.opening import next_opening, read_windows
from worker.engine.admission.wall_clock import exists, first_moment, zone_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86400
AT_SPREAD = timedelta(seconds=60)
"""How far runs of one wall time are spread: they start within the minute that was asked for."""

_MILLISECOND = timedelta(milliseconds=1)


def next_due(schedule: Mapping[str, Any], after: datetime, *, stream_id: int) -> datetime:
    """The first point strictly after `after`, in UTC."""
    due = _next_point(schedule, after, stream_id)
    option = schedule.get("windows")
    if option is None:
        return due
    opening = next_opening(read_windows(option), due)
    if opening is None or opening == due:
        return due  # what never opens keeps its points, and its runs say that they wait
    return opening + _offset(stream_id, AT_SPREAD)  # still open: no window is shorter


def windowed(schedule: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schedule with the windows that a stream's options hold; `dispatch_due` puts them together alike."""
    return {**schedule, "windows": options["windows"]} if "windows" in options else schedule


def _next_point(schedule: Mapping[str, Any], after: datetime, stream_id: int) -> datetime:
    every = timedelta(seconds=schedule["every"])
    zone = zone_of(schedule.get("timezone", "UTC")) if "at" in schedule else None
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
        if exists(day, zone) and (due := first_moment(day, wall, zone) + offset) > after:
            return due
        ordinal += days


def place(stream_id: int) -> int:
    """A stream's own place in any interval, the same for ever and on every machine; as a bigint holds the 64 bits.

    `headrace_next_point` reckons with it what `next_due` does, for plain intervals.
    """
    return int.from_bytes(xxhash.xxh64_digest(str(stream_id)), signed=True)


def _offset(stream_id: int, within: timedelta) -> timedelta:
    return (xxhash.xxh64_intdigest(str(stream_id)) % (within // _MILLISECOND)) * _MILLISECOND
