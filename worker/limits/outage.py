"""Can Valkey be asked now, and what time is it there when it can't?

After a failure nobody asks for a short while, because each question could cost a time-out; then one caller tries, and the
others go on without until it has an answer. Emits: budget_fallback once per outage, budget_restored at its end.
"""

from threading import Lock
from time import monotonic, time

import structlog

from worker.limits.policy import SECOND

log = structlog.get_logger()


class Outage:
    """Whether Valkey is away, for one process. Shared by threads."""

    def __init__(self, *, cool_down: float) -> None:
        self._cool_down = cool_down
        self._lock = Lock()
        self._began: float | None = None
        self._next_try = 0.0
        self._ended: float | None = None
        self._offset = int(time() * SECOND) - _ticks()

    @property
    def active(self) -> bool:
        return self._began is not None

    @property
    def since(self) -> int:
        """When the outage began (now, if there is none), on Valkey's clock."""
        began = self._began
        return self._offset + (_ticks() if began is None else int(began * SECOND))

    @property
    def last(self) -> int:
        """The last moment of the latest outage (now, while it lasts), on Valkey's clock; 0: there was none."""
        if self._began is not None:
            return self.now()
        return 0 if self._ended is None else self._offset + int(self._ended * SECOND)

    def now(self) -> int:
        """Valkey's clock as far as we know it: its last word, moved on by ours."""
        return self._offset + _ticks()

    def may_ask(self) -> bool:
        """True when all is well; in an outage for one caller each cool-down, who then must tell the outcome."""
        if self._began is None:
            return True
        with self._lock:
            if self._began is not None and monotonic() < self._next_try:
                return False
            self._next_try = monotonic() + self._cool_down
            return True

    def begin(self, cause: Exception) -> None:
        """Valkey failed to answer."""
        with self._lock:
            first = self._began is None
            self._next_try = monotonic() + self._cool_down
            if first:
                self._began = monotonic()
        if first:
            log.warning("budget_fallback", error=type(cause).__name__, detail=str(cause)[:200])

    def over(self, now: int) -> None:
        """Valkey answered, and this is its time."""
        self._offset = now - _ticks()
        if self._began is None:
            return
        with self._lock:
            began, self._began, self._ended = self._began, None, monotonic()
        if began is not None:
            log.info("budget_restored", seconds=round(monotonic() - began, 1))


def _ticks() -> int:
    return int(monotonic() * SECOND)
