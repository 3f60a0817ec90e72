"""When did it change, where the day stands in one field and the time of day in another?

As ERP systems of the older kind have it: `2026-01-31` or `20260131` or `/Date(ms)/`, and `08:00:00`, `080000`, `PT8H`
or seconds since midnight. Both are local to the manifest's zone, so they are put together before they become UTC. A day
without a time of day is its beginning.
"""

import re
from datetime import date, datetime, time, tzinfo
from typing import Any

from worker.connectors.cursors import parse_cursor
from worker.errors import BadRecord

_DAY = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:\Z|[T ])", re.ASCII)
_COMPACT_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})\Z", re.ASCII)
_SPAN = re.compile(
    r"PT(?:([0-9]{1,2})H)?(?:([0-9]{1,2})M)?(?:([0-9]{1,2})(?:\.([0-9]{1,6})[0-9]*)?S)?\Z", re.ASCII
)
_NOTHING = frozenset({None, "", "00000000", "0000-00-00"})


def parse_day_and_time(day: Any, clock: Any, form: str, zone: tzinfo) -> datetime | None:
    """The moment; None where there is no day. `BadRecord` (`bad_cursor`) for nonsense."""
    if isinstance(day, str | None) and day in _NOTHING:
        return None
    found = _day(day, form)
    if found is None:
        return None
    moment = parse_cursor(datetime.combine(found, _time(clock)), form, zone)
    return moment if isinstance(moment, datetime) else None


def _day(value: Any, form: str) -> date | None:
    """As it is written, whatever a zone would make of it."""
    if isinstance(value, str) and (found := _DAY.match(value)):
        try:
            return date(*map(int, found.groups()))
        except ValueError:
            raise _bad("day", value) from None
    moment = parse_cursor(value, form)
    return moment.date() if isinstance(moment, datetime) else None


def _time(value: Any) -> time:
    if value is None or value == "":
        return time()
    try:
        if isinstance(value, str):
            return _from_text(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 86_400:
            return time(value // 3600, value // 60 % 60, value % 60)
    except ValueError:
        pass
    raise _bad("time of day", value)


def _from_text(text: str) -> time:
    if found := _COMPACT_TIME.match(text):
        hour, minute, second = map(int, found.groups())
        return time(hour, minute, second)
    if found := _SPAN.match(text):
        hours, minutes, seconds, fraction = found.groups()
        return time(
            int(hours or 0), int(minutes or 0), int(seconds or 0), int((fraction or "0").ljust(6, "0"))
        )
    return time.fromisoformat(text).replace(tzinfo=None)


def _bad(what: str, value: Any) -> BadRecord:
    return BadRecord("bad_cursor", f"{ascii(value)[:60]} is no {what} of change.")
