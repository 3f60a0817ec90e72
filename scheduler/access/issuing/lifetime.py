"""How long does a token live, and what should its owner know of that in time? Pure, on the database's clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from worker.parsing.durations import format_duration

SOON = timedelta(days=14)
ROTATE_AFTER = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - that is what it is
    """Something to be done about a token before it is too late. ASCII, as it goes into a header too."""

    code: str
    words: str


def state_of(token: Mapping[str, Any], now: datetime) -> str:
    """valid, replaced (valid until it ends), expired or revoked."""
    if token["revoked_at"] is not None:
        return "revoked"
    if token["expires_at"] is not None and token["expires_at"] <= now:
        return "expired"
    return "valid" if token["successor"] is None else "replaced"


def warnings_of(token: Mapping[str, Any], now: datetime) -> list[Warning]:
    """What its owner should know. What has ended needs no warning."""
    state = state_of(token, now)
    if state == "replaced":
        left = _in_words(token["expires_at"] - now)
        return [Warning("replaced", f"This token was replaced by a fresh one, and ends in {left}.")]
    if state != "valid":
        return []
    found = []
    created: datetime = token["created_at"]
    if (ends := token["expires_at"]) is not None and ends - now <= min(SOON, (ends - created) / 2):
        found.append(Warning("expires_soon", f"This token ends in {_in_words(ends - now)}: rotate it."))
    if now - created >= ROTATE_AFTER:
        days = (now - created).days
        found.append(Warning("not_rotated", f"This token wasn't rotated for {days} days: rotate it."))
    return found


def _in_words(left: timedelta) -> str:
    if left >= timedelta(days=2):
        return f"{left.days} days"
    seconds = max(1, int(left.total_seconds()))
    return format_duration(seconds // 60 * 60 if seconds >= 120 else seconds)
