"""How far may a run look back behind its cursor? `look_back: {least: 5m, most: 2d}` in the connections file, and back.

Within these bounds a stream measures itself how late its news comes. On the row they are seconds, or units where the
cursor is a number (`of`): for streams whose cursor is of the other kind they say nothing.
"""

from typing import Any

from worker.errors import InvalidInput
from worker.parsing.durations import format_duration, parse_duration

LONGEST = 366 * 86400.0


def parse_look_back(given: Any) -> dict[str, Any]:
    """The bounds. Raises `InvalidInput`, whose place is a field of them."""
    kinds = {"number" if isinstance(value, int) else "time" for value in given.values()}
    if len(kinds) != 1:
        raise InvalidInput(
            "bad_look_back",
            "look_back has a duration and a number.",
            hint="Give both bounds in the same kind.",
        )
    of = kinds.pop()
    bounds = {name: _seconds(name, value) for name, value in given.items()}
    if bounds.get("least", 0.0) > bounds.get("most", float("inf")):
        raise InvalidInput(
            "bad_look_back", "look_back has a least that is more than its most.", place="least"
        )
    return {**bounds, "of": of}


def file_look_back(bounds: Any) -> dict[str, Any]:
    """As the connections file writes them."""
    say = int if bounds.get("of") == "number" else format_duration
    return {name: say(bounds[name]) for name in ("least", "most") if name in bounds}


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, int):
        return float(value)
    try:
        seconds = parse_duration(value)
    except InvalidInput as exc:
        raise InvalidInput(exc.code, f"look_back.{name}: {exc.message}", hint=exc.hint, place=name) from None
    if seconds > LONGEST:
        raise InvalidInput("bad_duration", f"look_back.{name}: {value!r} is longer than a year.", place=name)
    return seconds
