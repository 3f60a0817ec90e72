"""What may the connections file say of comparisons with the source? `verify: 7d`, and back. On the row: seconds, 0 for never."""

from typing import Any

from worker.durations import format_duration, parse_duration
from worker.errors import InvalidInput

NEVER = "never"
SHORTEST = 3600.0
LONGEST = 365 * 86400.0


def parse_verify(given: Any) -> float:
    """Seconds between two comparisons; 0: none. Raises `InvalidInput`."""
    if given == NEVER:
        return 0.0
    seconds = parse_duration(given)
    if not SHORTEST <= seconds <= LONGEST:
        raise InvalidInput(
            "bad_duration",
            f"{given!r} is not between 1h and 365d.",
            hint="Give verify an interval, such as 7d, or never.",
        )
    return seconds


def file_verify(seconds: Any) -> str:
    """As the connections file writes it."""
    return format_duration(seconds) if seconds else NEVER
