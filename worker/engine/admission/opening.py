"""When may a plant's system be asked?

Windows go by the clock on the wall of the connection's zone: what it shows is allowed, or it is not. An hour that the clocks
go through twice counts both times alike, one that they leave out never comes. Pure: windows and a moment go in.

Without allowed times every time is allowed; a denied time wins over an allowed one. `from` is inclusive, `to` is not; a
span whose `to` isn't after its `from` ends on the next day, and belongs to the day on which it begins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from worker.engine.admission.wall_clock import first_moment, last_moment, turning_point, zone_of
from worker.errors import NotNow
from worker.runs.claim import Run
from worker.runs.states import Lane

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 86400
LOOK_AHEAD = 15
"""Days within which whatever opens opens: windows repeat every week, and a change of the clocks may swallow one."""
UNTIL_CHANGED = timedelta(days=1)
"""Where no window ever opens, a run looks again so late."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time of some days. Seconds are counted from midnight on the wall; `end` beyond a day is in the next one."""

    days: frozenset[int]
    start: int
    end: int

    def covers(self, weekday: int, second: float) -> bool:
        if weekday in self.days and self.start <= second < self.end:
            return True
        return (weekday - 1) % 7 in self.days and second + DAY < self.end


@dataclass(frozen=True, slots=True)
class Windows:
    """The allowed and the denied times of a connection or a stream."""

    zone: tzinfo
    allow: Sequence[Span]
    deny: Sequence[Span]
    on_demand: bool
    """What people and webhooks ask for may go at any time."""

    def binds(self, lane: Lane) -> bool:
        """Whether a run of this lane keeps to the windows."""
        return not (self.on_demand and lane in {Lane.ON_DEMAND, Lane.WEBHOOK})


def read_windows(option: Mapping[str, Any]) -> Windows:
    """The windows as they stand in a stream's options; `scheduler/connections/options/windows.py` has checked them."""
    return Windows(
        # A machine that doesn't know the zone takes the times for UTC, rather than stop over it.
        zone_of(option.get("timezone", "UTC")) or UTC,
        [_span(span) for span in option.get("allow", ())],
        [_span(span) for span in option.get("deny", ())],
        option.get("on_demand", True),
    )


def is_open(windows: Windows, moment: datetime) -> bool:
    local = moment.astimezone(windows.zone)
    return _open_at(windows, local.weekday(), local.hour * 3600 + local.minute * 60 + local.second)


def next_opening(windows: Windows, moment: datetime) -> datetime | None:
    """The first moment from this one on at which it is open, in UTC; None: it never is."""
    if is_open(windows, moment):
        return moment
    return next((edge for edge in _edges(windows, moment) if is_open(windows, edge)), None)


def never_opens(windows: Windows) -> bool:
    """Whether no time of a week is open. That a clock leaves out the only ones is not reckoned with."""
    return not any(
        _open_at(windows, weekday, second) for weekday in range(len(DAYS)) for second in _walls(windows)
    )


def open_until(windows: Windows, moment: datetime) -> datetime | None:
    """When what is open at this moment closes, in UTC; None: not within two weeks."""
    return next((edge for edge in _edges(windows, moment) if not is_open(windows, edge)), None)


def keep_to_windows(run: Run, now: datetime) -> None:
    """Raise NotNow where the plant's windows are closed for this run: at its start, and after each of its pages."""
    if (option := run.options.get("windows")) is None:
        return
    windows = read_windows(option)
    if not windows.binds(Lane(run.lane)) or is_open(windows, now):
        return
    opening = next_opening(windows, now)
    words = "never opens" if opening is None else f"opens at {opening:%Y-%m-%d %H:%M} UTC"
    raise NotNow(
        "window_closed",
        f"The connection's window is closed now; it {words}.",
        resume_at=opening or now + UNTIL_CHANGED,
        reason="window",
    )


def _open_at(windows: Windows, weekday: int, second: int) -> bool:
    if any(span.covers(weekday, second) for span in windows.deny):
        return False
    return not windows.allow or any(span.covers(weekday, second) for span in windows.allow)


def _walls(windows: Windows) -> set[int]:
    """The seconds of a day at which something may begin or end."""
    return {edge % DAY for span in (*windows.allow, *windows.deny) for edge in (span.start, span.end)} | {0}


def _span(option: Mapping[str, Any]) -> Span:
    start, end = _seconds(option.get("from", "00:00")), _seconds(option.get("to", "24:00"))
    days = frozenset(DAYS.index(day) for day in option.get("days", DAYS))
    return Span(days, start, end if end > start else end + DAY)


def _seconds(wall: str) -> int:
    hours, _, minutes = wall.partition(":")
    return int(hours) * 3600 + int(minutes) * 60


def _edges(windows: Windows, after: datetime) -> Iterator[datetime]:
    """All later moments at which it may open or close, in their order: where spans begin and end, and the clocks change."""
    zone = windows.zone if isinstance(windows.zone, ZoneInfo) else ZoneInfo("UTC")
    first = after.astimezone(zone).date() - timedelta(days=1)
    found: set[datetime] = set()
    for day in (first + timedelta(days=number) for number in range(LOOK_AHEAD + 2)):
        for wall in _walls(windows):
            clock = time(wall // 3600, wall % 3600 // 60)
            found |= {first_moment(day, clock, zone), last_moment(day, clock, zone)}
        if (turning := turning_point(day, zone)) is not None:
            found.add(turning)
    return _later(found, after)


def _later(moments: Iterable[datetime], after: datetime) -> Iterator[datetime]:
    return (moment for moment in sorted(moments) if moment > after)
