"""What may the connections file say of how deletes are found? `sweep: 1d` and `delete_limit: 5%`, and back.

On the row an interval is seconds (0: never), and a limit is a share of 1.
"""

from typing import Any

from scheduler.connections.options.rounds import parse_round
from worker.errors import InvalidInput


def parse_sweep(given: Any) -> float:
    """Seconds between two sweeps; 0: none. Raises `InvalidInput`."""
    hint = "Give sweep an interval, such as 1d, or never."
    return parse_round(given, shortest="15m", longest="90d", hint=hint)


def parse_delete_limit(given: Any) -> float:
    """A share of 1. Raises `InvalidInput`."""
    try:
        percent = float(str(given).removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not str(given).endswith("%") or not 0 <= percent <= 100:
        raise InvalidInput(
            "bad_share", f"{given!r} is no share.", hint='Give delete_limit in percent, such as "5%".'
        )
    return percent / 100


def file_delete_limit(share: Any) -> str:
    """As the connections file writes it."""
    return f"{100 * float(share):.10g}%"
