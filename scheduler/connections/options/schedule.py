"""How often, and how far back? What people write in the connections file, what stands on the row, and back.

A schedule stands on the row as `{"every": seconds}`, or with a wall time as
`{"every": 86400 * days, "at": "HH:MM", "timezone": name}`; `scheduler/beat/due.py` reckons with it. A history is a
number of days, None for everything.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from worker.errors import InvalidInput
from worker.parsing.durations import format_duration, parse_duration
from worker.parsing.wording import suggest

DAY = 86400
MIN_EVERY = 60
MAX_EVERY = 7 * DAY
DEFAULT_HISTORY_DAYS = 90
MAX_HISTORY_DAYS = 36500
ALL = "all"

Schedule = dict[str, Any]

_WALL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def parse_schedule(mapping: Mapping[str, Any]) -> Schedule:
    """The schedule for the row. Raises `InvalidInput` whose `place` is the key at fault."""
    every = _every(mapping.get("every"))
    if "at" not in mapping:
        if "timezone" in mapping:
            raise InvalidInput(
                "bad_schedule",
                "A time zone without a time of day means nothing.",
                place="timezone",
                hint='Say when, as in {every: 1d, at: "02:00", timezone: Europe/Berlin}.',
            )
        return {"every": every}
    if every % DAY:
        raise InvalidInput(
            "bad_schedule",
            f"A time of day goes with whole days, and every is {format_duration(every)}.",
            place="every",
            hint="Use every: 1d to 7d, or leave out the time.",
        )
    return {
        "every": every,
        "at": _wall_time(mapping["at"]),
        "timezone": parse_time_zone(mapping.get("timezone")),
    }


def format_schedule(schedule: Mapping[str, Any]) -> str:
    """For people: `every 15m`, `every 1d at 02:00 Europe/Berlin`."""
    text = f"every {format_duration(schedule['every'])}"
    return f"{text} at {schedule['at']} {schedule.get('timezone', 'UTC')}" if "at" in schedule else text


def file_schedule(schedule: Mapping[str, Any]) -> Schedule:
    """As the connections file writes it: `{"every": "15m"}`."""
    return {**schedule, "every": format_duration(schedule["every"])}


def parse_history(text: object) -> int | None:
    """`90d` -> 90, `all` -> None. Raises `InvalidInput`."""
    if text == ALL:
        return None
    try:
        days, rest = divmod(parse_duration(text), DAY)
    except InvalidInput as exc:
        raise InvalidInput(
            "bad_history", exc.message, hint="Write it like 90d or 52w, or all for everything."
        ) from None
    if rest or not 1 <= days <= MAX_HISTORY_DAYS:
        raise InvalidInput(
            "bad_history",
            f"A history is whole days, from 1d to {MAX_HISTORY_DAYS}d.",
            hint="Write it like 90d or 52w, or all for everything.",
        )
    return int(days)


def format_history(days: int | None) -> str:
    """`90d`, or `all`."""
    return ALL if days is None else f"{days}d"


def _every(text: object) -> int:
    try:
        seconds = parse_duration(text)
    except InvalidInput as exc:
        raise InvalidInput("bad_schedule", exc.message, place="every", hint=exc.hint) from None
    if not MIN_EVERY <= seconds <= MAX_EVERY:
        raise InvalidInput(
            "bad_schedule",
            f"every is {format_duration(seconds)}, and goes from {format_duration(MIN_EVERY)} "
            f"to {format_duration(MAX_EVERY)}.",
            place="every",
        )
    return int(seconds)


def _wall_time(text: object) -> str:
    if not isinstance(text, str) or not _WALL_TIME.fullmatch(text):
        raise InvalidInput(
            "bad_schedule", "at is no time of day.", place="at", hint='Write it like "02:00" or "23:30".'
        )
    return text


def parse_time_zone(name: object) -> str:
    """The name of a zone, UTC where none is given. Raises `InvalidInput`."""
    if name is None:
        return "UTC"
    if not isinstance(name, str) or name not in _time_zones():
        shown = repr(name)[:60]
        raise InvalidInput(
            "unknown_time_zone",
            f"There is no time zone {shown}.",
            place="timezone",
            hint=_nearest_zone(str(name)),
        )
    return name


def _nearest_zone(name: str) -> str:
    """`berlin` means Europe/Berlin, though few letters of it are there."""
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(_time_zones(), reverse=True)}
    city = name.rpartition("/")[2].strip().lower().replace(" ", "_")
    if city in by_city:
        return f"Did you mean {by_city[city]!r}?"
    hint = suggest(name, _time_zones())
    return hint if hint.startswith("Did") else "Use a name like Europe/Berlin, America/New_York or UTC."


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
