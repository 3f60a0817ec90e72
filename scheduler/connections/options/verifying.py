"""What may the connections file say of comparisons with the source? `verify: 7d`, or never."""

from typing import Any

from scheduler.connections.options.rounds import parse_round


def parse_verify(given: Any) -> float:
    """Seconds between two comparisons; 0: none. Raises `InvalidInput`."""
    hint = "Give verify an interval, such as 7d, or never."
    return parse_round(given, shortest="1h", longest="365d", hint=hint)
