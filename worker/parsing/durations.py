"""How long is `15m`? Durations as people write them, and back.

A duration is whole numbers with units, largest first: `30s`, `15m`, `1h30m`, `90d`, `2w`. No unit, no duration: a bare
`15` could be minutes or seconds, so it is refused.
"""

import re

from worker.errors import InvalidInput

SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
PATTERN = r"^(?=[0-9])([0-9]{1,6}w)?([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,9}s)?$"
"""The same rule for JSON schemas."""
HINT = "Write it like 30s, 15m, 1h30m or 90d."

_DURATION = re.compile(PATTERN.removesuffix("$") + r"\Z", re.ASCII)


def parse_duration(text: object) -> float:
    """Seconds, or `InvalidInput`."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        shown = repr(text) if len(repr(text)) <= 40 else repr(text)[:40] + "…"
        raise InvalidInput("bad_duration", f"{shown} is no duration.", hint=HINT)
    return float(sum(int(part[:-1]) * SECONDS[part[-1]] for part in match.groups() if part))


def format_duration(seconds: float) -> str:
    """The shortest such text: `15m`, `1h30m`, `0s`. Parts of a second are cut."""
    left = max(0, int(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
