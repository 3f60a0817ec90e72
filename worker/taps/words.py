"""What do a tap's words mean: how loud they are in the log, and what is to be done when it has ended? Pure."""

import re
from collections.abc import Sequence
from signal import Signals
from typing import Literal

from worker.errors import HeadraceError, NeedsOperator, Throttled, Transient
from worker.telemetry.redaction import MASK

Level = Literal["debug", "warning", "error"]

SHOWN = 1000
"""Characters of a line that go to the log."""
QUOTED = 600
"""Characters of its last words that go into an error."""
_LEVEL = re.compile(
    r"\b(CRITICAL|FATAL|ERROR|WARNING|WARN|INFO|DEBUG)\b|^(Traceback|\w*(?:Error|Exception)\b)"
)
_LOUD: dict[str, Level] = {
    "CRITICAL": "error", "FATAL": "error", "ERROR": "error", "WARNING": "warning", "WARN": "warning",
    "INFO": "debug", "DEBUG": "debug",
}  # fmt: skip
_SECRET = re.compile(
    r"(?i)((?:(?:authorization|password|passwd|secret|api[_-]?key|(?:access|refresh|auth|id)?[_-]?token)"
    r"[\"']?\s*[:=]\s*[\"']?(?:bearer\s+|basic\s+)?|\bbearer\s+))([^\s\"',;&]{6,})"
)
_HOST = re.compile(r"://[^\s/@:]+:[^\s/@]+@")
_REFUSED = re.compile(
    r"(?i)\b(401|403|unauthori[sz]ed|forbidden|invalid[ _](credentials|grant|client|token|api key)|"
    r"(password )?authentication failed|permission denied|access denied|no module named|"
    r"config(uration)? (is )?(missing|invalid|validation)|configvalidationerror|missing required config|"
    r"unrecogni[sz]ed arguments|no such option|does not exist)"
)
_THROTTLED = re.compile(r"(?i)\b(429|too many requests|rate.?limit(ed|s)?( was| is)? (exceeded|reached))")
_MEMORY = re.compile(r"\bMemoryError\b|(?i:cannot allocate memory|out of memory)")
COULD_NOT_START = 127


def level_of(line: str) -> Level:
    """By the level that the line names, or by what Python says when it fails; a line that says neither is quiet."""
    found = _LEVEL.search(line[:200])
    if found is None:
        return "debug"
    return "error" if found[1] is None else _LOUD[found[1]]


def masked(line: str) -> str:
    """Without what looks like a secret: a tap fetches tokens that only it knows, and may show them."""
    return _SECRET.sub(rf"\1{MASK}", _HOST.sub(f"://{MASK}@", line))


def failure_of(code: int, last: Sequence[str], *, tap: str) -> HeadraceError:
    """What became of a tap that ended with this code, after these last words."""
    said = _quoted(last)
    text = "\n".join(last)
    if code == COULD_NOT_START:
        return NeedsOperator("tap_not_started", f"{tap} could not be started. {said}")
    if _MEMORY.search(text):
        hint = "HEADRACE_TAPS_MEMORY says how many megabytes it may take."
        return Transient("tap_out_of_memory", f"{tap} ran out of memory. {said}", hint=hint)
    if code > 128:
        return Transient(
            "tap_killed", f"{tap} was ended by {_signal(code - 128)}. {said}", hint=_why(code - 128)
        )
    if _THROTTLED.search(text):
        return Throttled(f"{tap} was told that it asks too often. {said}")
    if _REFUSED.search(text):
        return NeedsOperator("tap_refused", f"{tap} ended with exit code {code}. {said}")
    return Transient("tap_failed", f"{tap} ended with exit code {code}. {said}")


def _why(signal: int) -> str | None:
    if signal == Signals.SIGXCPU:
        return "HEADRACE_TAPS_CPU says how many seconds of a processor it may take."
    return "Out of memory?" if signal == Signals.SIGKILL else None


def _signal(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _quoted(last: Sequence[str]) -> str:
    """Its last words: from the end of a traceback the line that says what happened."""
    lines = [line.strip() for line in last if line.strip()]
    if not lines:
        return "It said nothing."
    loud = [line for line in lines if level_of(line) != "debug"] or lines
    text = " / ".join(loud[-3:])
    return f"It said: {text[-QUOTED:]}"
