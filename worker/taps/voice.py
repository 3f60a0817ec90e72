"""What of a tap's standard error gets into our log? What is loud, redacted, and not more than a person would read.

Emits: tap_said, tap_said_more.
"""

from collections import deque
from collections.abc import Iterator
from time import monotonic

import structlog

from worker.taps.words import SHOWN, level_of, masked
from worker.telemetry.redaction import redactor

MOST_LINES = 200
EVERY = 60.0
"""So many lines in so many seconds are logged; the others are counted."""
LAST = 20
LONGEST = 16 * 1024

log = structlog.get_logger(__name__)


class Voice:
    """One tap's standard error. Used by one thread."""

    def __init__(self, tap: str) -> None:
        self._tap = tap
        self._begun = bytearray()
        self._since = monotonic()
        self._logged = self._more = 0
        self.last: deque[str] = deque(maxlen=LAST)
        """Its last words, without secrets."""

    def hear(self, piece: bytes) -> None:
        """Some more of it came."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._say(bytes(self._begun) + part)
            self._begun.clear()
        self._begun += rest[: LONGEST - len(self._begun)]

    def end(self) -> None:
        """No more comes."""
        if self._begun:
            self._say(bytes(self._begun))
            self._begun.clear()
        self._own_up()

    def _say(self, line: bytes) -> None:
        text = line[:LONGEST].decode(errors="replace").rstrip()
        if not text:
            return
        shown = redactor.redact(masked(text))[:SHOWN]
        self.last.append(shown)
        if monotonic() - self._since > EVERY:
            self._own_up()
        if self._logged >= MOST_LINES:
            self._more += 1
            return
        self._logged += 1
        match level_of(text):
            case "error":
                log.error("tap_said", tap=self._tap, words=shown)
            case "warning":
                log.warning("tap_said", tap=self._tap, words=shown)
            case "debug":
                log.debug("tap_said", tap=self._tap, words=shown)

    def _own_up(self) -> None:
        if self._more:
            log.warning("tap_said_more", tap=self._tap, lines=self._more)
        self._since, self._logged, self._more = monotonic(), 0, 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.last)
