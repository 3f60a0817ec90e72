"""How often may strangers make us look? Once a second; in between they get the last answer."""

import threading
import time
from collections.abc import Callable

from scheduler.health import Finding

KEEP = 1.0

_WORDS = {
    "database": "The database can't be used.",
    "broker": "The broker can't be used.",
    "beat": "No beat was seen in the last minute.",
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
                self._reasons = [
                    {"check": finding.check, "detail": _WORDS[finding.check]} for finding in self._look()
                ]
                self._looked_at = self._clock()
            return list(self._reasons)
