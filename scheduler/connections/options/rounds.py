"""How often is something done that has an interval of its own? `1d` or `never` in the file; on the row seconds, 0 for never."""

from typing import Any

from worker.errors import InvalidInput
from worker.parsing.durations import format_duration, parse_duration

NEVER = "never"


def parse_round(given: Any, *, shortest: str, longest: str, hint: str) -> float:
    """Seconds between two rounds; 0: none. Raises `InvalidInput`."""
    if given == NEVER:
        return 0.0
    seconds = parse_duration(given)
    if not parse_duration(shortest) <= seconds <= parse_duration(longest):
        raise InvalidInput("bad_duration", f"{given!r} is not between {shortest} and {longest}.", hint=hint)
    return float(seconds)


def file_round(seconds: Any) -> str:
    """As the connections file writes it."""
    return format_duration(seconds) if seconds else NEVER
