"""Which moment does a person mean by `2026-11-01 14:00`, or by `2h`? Pure: the present goes in."""

from datetime import UTC, datetime, timedelta

from worker.errors import InvalidInput
from worker.parsing.durations import parse_duration


def parse_moment(text: str, now: datetime) -> datetime:
    """A time in ISO 8601, in UTC where it names no offset; or how long ago, such as 2h or 7d. Raises `InvalidInput`."""
    try:
        return now - timedelta(seconds=parse_duration(text))
    except (InvalidInput, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "bad_time",
            f"{text!r} is no time.",
            hint="Write it like 2026-11-01, 2026-11-01T14:00+01:00, or 2h for two hours ago.",
        ) from None
