"""When was it signed, and is that recent enough? Unsigned times are never asked."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from worker.webhooks.delivery import Refusal

FORMS = ("epoch_s", "epoch_ms", "iso8601")
TOLERANCE = 300.0
"""Seconds before or after now."""

_DIGITS: Mapping[str, re.Pattern[str]] = {
    "epoch_s": re.compile(r"[0-9]{1,11}\Z", re.ASCII),
    "epoch_ms": re.compile(r"[0-9]{1,14}\Z", re.ASCII),
}


def read_time(text: str, form: str) -> datetime:
    """The moment, or `Refusal`."""
    if (digits := _DIGITS.get(form)) is not None:
        if digits.match(text):
            return datetime.fromtimestamp(int(text) / (1000 if form == "epoch_ms" else 1), UTC)
    else:
        try:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Refusal("bad_timestamp", f"The time of the signature can't be read as {form}.")


def check_age(text: str, form: str, tolerance: float, now: datetime) -> None:
    """`Refusal` for what was signed too long ago, or is to be signed yet."""
    moment = read_time(text, form)
    if moment < now - timedelta(seconds=tolerance):
        raise Refusal("too_old", f"It was signed {int((now - moment).total_seconds())} seconds ago.")
    if moment > now + timedelta(seconds=tolerance):
        raise Refusal("too_new", f"It was signed {int((moment - now).total_seconds())} seconds from now.")
