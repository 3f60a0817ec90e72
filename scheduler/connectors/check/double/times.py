"""How systems write times, and what a request means by one."""

from datetime import UTC, datetime, timedelta, tzinfo

MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPECS = {MICROSECOND: "microseconds", MILLISECOND: "milliseconds", SECOND: "seconds", MINUTE: "minutes"}


def cut(at: datetime, unit: timedelta) -> datetime:
    """The beginning of the unit that holds this moment."""
    return at - (at - EPOCH) % unit


def iso(at: datetime, unit: timedelta = MILLISECOND, zone: tzinfo = UTC) -> str:
    """`2026-06-15T12:00:00.000Z`, or with the zone's offset."""
    text = cut(at, unit).astimezone(zone).isoformat(timespec=_SPECS[unit])
    return text.replace("+00:00", "Z") if zone is UTC else text


def naive(at: datetime, unit: timedelta = SECOND, zone: tzinfo = UTC, separator: str = " ") -> str:
    """A time without an offset, as the clocks of the zone show it: `2026-06-15 04:00:00`."""
    return cut(at, unit).astimezone(zone).replace(tzinfo=None).isoformat(separator, _SPECS[unit])


def epoch(at: datetime, unit: timedelta = MILLISECOND) -> int:
    """How many units have passed since 1970."""
    return (at - EPOCH) // unit


def moment(text: str | None, zone: tzinfo = UTC) -> datetime | None:
    """What a request means by such a text: ISO 8601 with or without an offset (then `zone`). None stays None.

    ValueError for anything else, which a double answers as its system would.
    """
    if not text:
        return None
    found = datetime.fromisoformat(text.strip())
    return found.replace(tzinfo=zone).astimezone(UTC) if found.tzinfo is None else found.astimezone(UTC)
