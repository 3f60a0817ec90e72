"""How often may strangers make us look? Once a second; in between they get the last answer. Emits: beat_silent."""

import threading
import time
from collections.abc import Callable

import structlog

from scheduler.health.looks import Finding

log = structlog.get_logger()

KEEP = 1.0

_WORDS = {
    "database": "The database can't be used.",
    "broker": "The broker can't be used.",
    "beat": "No beat is at work.",
    "workers": "No worker was seen in the last minute.",
}


class Readiness:
    """The findings of `look`, kept for a second. `headrace doctor` says more than a stranger may know."""

    def __init__(
        self, look: Callable[[], list[Finding]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._reasons: list[dict[str, str]] = []

    def reasons(self) -> list[dict[str, str]]:
        """What is missing, by check; nothing means ready."""
        with self._lock:
            if self._clock() - self._looked_at >= KEEP:
                found = self._look()
                self._tell(found)
                self._reasons = [
                    {"check": finding.check, "detail": _WORDS[finding.check]} for finding in found
                ]
                self._looked_at = self._clock()
            return list(self._reasons)

    def _tell(self, found: list[Finding]) -> None:
        """Beats tell of each other. Where the last one is gone, whoever is asked for readiness says so, once."""
        before = {reason["check"] for reason in self._reasons}
        for finding in found:
            if finding.check == "beat" and finding.check not in before:
                log.warning("beat_silent", words=finding.words, hint=finding.hint)
