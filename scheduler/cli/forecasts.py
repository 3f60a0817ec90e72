"""How is a forecast told: what is still to be read, and how long that takes?"""

from typing import Any

from worker.engine.history.forecast import Forecast
from worker.parsing.durations import format_duration


def in_words(expected: Forecast) -> str:
    """`about 1,200 records in 3 requests, 2s`."""
    if expected.records is None:
        return "how much that is, only the system knows"
    words = f"about {expected.records:,} record{'' if expected.records == 1 else 's'}"
    if expected.requests is not None:
        words += f" in {expected.requests:,} request{'' if expected.requests == 1 else 's'}"
    return words if expected.seconds is None else f"{words}, {format_duration(max(1.0, expected.seconds))}"


def forecast_json(expected: Forecast) -> dict[str, Any]:
    """For programs. None: nobody can say."""
    seconds = expected.seconds
    return {
        "records": expected.records,
        "requests": expected.requests,
        "seconds": None if seconds is None else round(seconds, 1),
    }
