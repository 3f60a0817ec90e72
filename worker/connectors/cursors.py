"""When did it change? Cursor values as systems write them, as requests ask for them, and as we store them.

Inside there are only aware UTC datetimes with microseconds, and whole numbers. What a system writes differs: the
manifest names a `format` and, for times without an offset, a zone. Formats that can't say microseconds are rounded
down where they open a window and up where they close it, so rounding never loses a record. So are clocks that are put
back: an hour that comes twice is opened at its first beginning and closed at its second end, because a time without an
offset doesn't say which of the two it means. Times beyond what can be told (year 0, the end of 9999 in the west) become
the first or last moment there is: such placeholders mean "never".
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

import msgspec

from worker.connectors.contract import CursorValue
from worker.connectors.spelled import is_spelled, precision_spelled, read_spelled, write_spelled
from worker.errors import BadRecord, InvalidInput

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class TypedTime(msgspec.Struct, gc=False):
    """A time in the JSON of Tryton: `{"__class__": "datetime", "year": 2026, …}`."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    microsecond: int = 0


WIRE: Mapping[str, Any] = {
    "iso8601": datetime | None,
    "iso8601_ms": datetime | None,
    "date": str | None,
    "datetime": datetime | None,
    "odata_date": str | None,
    "epoch_s": int | float | None,
    "epoch_ms": int | float | None,
    "number": int | None,
    "typed_json": TypedTime | None,
}
"""The type by which a format is read fast; what doesn't fit is looked at closely by `parse_cursor`."""

PRECISIONS: Mapping[str, int] = {"us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000, "d": 86_400_000_000}
"""In microseconds."""

PRECISION_OF: Mapping[str, str] = {
    "iso8601": "us", "iso8601_ms": "ms", "date": "d", "datetime": "us", "odata_date": "ms", "epoch_s": "s", "epoch_ms": "ms",
    "typed_json": "us",
}  # fmt: skip
"""How coarse a format is where the manifest doesn't say."""

_YEAR_ZERO = re.compile(r"0000-")
_DECIMAL = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_ODATA = re.compile(r"/Date\((-?[0-9]{1,18})([+-][0-9]{1,5})?\)/\Z", re.ASCII)
_PER_SECOND = {"epoch_s": 1, "epoch_ms": 1000}


def parse_cursor(value: Any, form: str, zone: tzinfo = UTC) -> CursorValue | None:
    """Read what a record says; None where it says nothing. `BadRecord` (`bad_cursor`) for nonsense."""
    if value is None or (value == "" and isinstance(value, str)):
        return None
    if isinstance(value, datetime):
        return _in_utc(value, zone)
    if form == "number":
        return _number(value)
    if form in _PER_SECOND:
        return _from_epoch(value, _PER_SECOND[form])
    if form == "typed_json":
        return _from_mapping(value, zone)
    if isinstance(value, str) or is_spelled(form):
        return _from_written(value, form, zone)
    raise _bad(value)


def format_cursor(
    value: CursorValue, form: str, zone: tzinfo = UTC, *, round_up: bool = False, precision: str | None = None
) -> str:
    """How a request says this value, in words of the format. Times are said in UTC unless the zone is another."""
    if isinstance(value, int):
        return str(value)
    precision = precision or precision_of(form)
    if form in _PER_SECOND:
        counted = microseconds(_rounded(value, PRECISIONS[precision], round_up=round_up))
        return str(_whole(counted, 1_000_000 // _PER_SECOND[form], round_up=round_up))
    local = value if zone is UTC else _unfolded(value, zone, round_up=round_up)
    if form == "date":
        return _day(local, round_up=round_up)
    local = _rounded(local, PRECISIONS[precision], round_up=round_up)
    if is_spelled(form):
        return write_spelled(local, form)
    timespec = {"us": "microseconds", "ms": "milliseconds"}.get(precision, "seconds")
    if form in {"datetime", "odata_date"}:
        naive = local.replace(tzinfo=None)
        return naive.isoformat(
            "T" if form == "odata_date" else " ", timespec if naive.microsecond else "seconds"
        )
    text = local.isoformat(timespec=timespec)
    return text.replace("+00:00", "Z") if zone is UTC else text


def precision_of(form: str) -> str:
    """How coarse a form is: a unit of `PRECISIONS`."""
    return precision_spelled(form) if is_spelled(form) else PRECISION_OF[form]


def is_time(form: str) -> bool:
    """Whether it says times, and no numbers or tokens."""
    return form in PRECISION_OF or is_spelled(form)


def comes_twice(value: datetime, zone: tzinfo) -> bool:
    """Whether the clocks of that zone show this time again, or for the second time: they are put back then."""
    return zone is not UTC and bool(_put_back(_local(value, zone).replace(tzinfo=None), zone))


def typed_json(value: datetime) -> dict[str, Any]:
    """A time as Tryton's JSON wants it, without a zone, in UTC."""
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}


def dump_cursor(value: CursorValue) -> str | int:
    """The canonical JSON value that is stored: a number, or `2026-01-31T08:00:00.000000Z`."""
    if isinstance(value, int):
        return value
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def load_cursor(stored: str | int, *, timestamps: bool) -> CursorValue:
    """The value that `dump_cursor` wrote; anything else is `InvalidInput`."""
    if timestamps and isinstance(stored, str):
        try:
            return datetime.fromisoformat(stored).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    elif not timestamps and isinstance(stored, int) and not isinstance(stored, bool):
        return stored
    kind = "time" if timestamps else "number"
    raise InvalidInput("bad_cursor", f"The stored cursor {str(stored)[:60]!r} is no {kind}.")


def microseconds(value: datetime) -> int:
    """Since 1970, exactly."""
    return (value - EPOCH) // MICROSECOND


def _in_utc(value: datetime, zone: tzinfo) -> datetime:
    if value.tzinfo is UTC:
        return value
    try:
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return FIRST if value.year == 1 else LAST


def _local(value: datetime, zone: tzinfo) -> datetime:
    try:
        return value.astimezone(zone)
    except OverflowError:
        return value


def _unfolded(value: datetime, zone: tzinfo, *, round_up: bool) -> datetime:
    """The local time; of one that comes twice, what is shown before the first or after the second time."""
    local = _local(value, zone)
    naive = local.replace(tzinfo=None)
    back = _put_back(naive, zone)
    if not back:
        return local
    return (naive + back if round_up else naive - back).replace(tzinfo=zone)


def _put_back(naive: datetime, zone: tzinfo) -> timedelta:
    """By how much the clocks are put back around a local time that is shown twice; nothing for any other."""
    try:
        first, second = (naive.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    except OverflowError:
        return timedelta()
    return first - second if first is not None and second is not None and first > second else timedelta()


def _from_text(text: str, zone: tzinfo) -> datetime:
    if _YEAR_ZERO.match(text):
        return FIRST
    try:
        return _in_utc(msgspec.convert(text, datetime), zone)
    except (msgspec.ValidationError, UnicodeEncodeError):
        pass
    try:
        return _in_utc(datetime.fromisoformat(text), zone)
    except ValueError:
        raise _bad(text) from None


def _from_odata(text: str, zone: tzinfo) -> datetime:
    """`/Date(ms)/` counts in the zone's own time; with an offset behind it, in UTC. Others write ISO times there."""
    found = _ODATA.match(text)
    if found is None:
        return _from_text(text, zone)
    counted = _from_epoch(found[1], 1000)
    return counted if found[2] or zone is UTC else _in_utc(counted.replace(tzinfo=None), zone)


def _from_written(value: Any, form: str, zone: tzinfo) -> datetime | None:
    if not is_spelled(form):
        return _from_odata(value, zone) if form == "odata_date" else _from_text(value, zone)
    try:
        found = read_spelled(value, form)
    except (ValueError, OverflowError):
        raise _bad(value) from None
    return None if found is None else _in_utc(found, zone)


def _from_parts(parts: TypedTime, zone: tzinfo) -> datetime:
    try:
        day = date(parts.year, parts.month, parts.day)
        clock = time(parts.hour, parts.minute, parts.second, parts.microsecond, tzinfo=zone)
        return _in_utc(datetime.combine(day, clock), zone)
    except (ValueError, OverflowError):
        raise BadRecord("bad_cursor", "The time of change is no time that exists.") from None


def _from_mapping(value: Any, zone: tzinfo) -> datetime:
    if isinstance(value, TypedTime):
        return _from_parts(value, zone)
    try:
        return _from_parts(msgspec.convert(value, TypedTime), zone)
    except msgspec.ValidationError:
        raise _bad(value) from None


def _from_epoch(value: Any, per_second: int) -> datetime:
    if isinstance(value, str) and _DECIMAL.match(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(value)
    try:
        if isinstance(value, int):
            return EPOCH + timedelta(microseconds=value * (1_000_000 // per_second))
        return EPOCH + timedelta(microseconds=round(value * (1_000_000 // per_second)))
    except OverflowError:
        return FIRST if value < 0 else LAST


def _number(value: Any) -> int:
    if isinstance(value, str) and _DECIMAL.match(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _bad(value)
    if not -(2**63) <= value < 2**63:
        raise BadRecord("bad_cursor", "The number of change is larger than 64 bits.")
    return value


def _day(local: datetime, *, round_up: bool) -> str:
    day = local.date()
    if round_up and local.time() != time() and day < date.max:
        day += timedelta(days=1)
    return day.isoformat()


def _rounded(value: datetime, unit: int, *, round_up: bool) -> datetime:
    """To whole units of the local time, since a day begins where its clocks say so."""
    naive = value.replace(tzinfo=UTC)
    try:
        whole = EPOCH + timedelta(microseconds=_whole(microseconds(naive), unit, round_up=round_up) * unit)
    except OverflowError:
        return value
    return whole.replace(tzinfo=value.tzinfo)


def _whole(count: int, unit: int, *, round_up: bool) -> int:
    return -(-count // unit) if round_up else count // unit


def _bad(value: Any) -> BadRecord:
    shown = ascii(value)
    return BadRecord(
        "bad_cursor", f"{shown if len(shown) <= 60 else shown[:60] + '…'} is no time or number of change."
    )
