"""What is to be done for one worker process now: nothing, start it again, or end it?

Driven by the fleet's loop, which hands in the time (a monotonic clock's).
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from scheduler.embedded.supervisor.parts import restart_delay
from scheduler.embedded.supervisor.processes import Child
from worker.supervision.ending import RECYCLED, exit_words

log = structlog.get_logger()

STEADY_AFTER = 60.0
"""A process that lived so long is forgiven its earlier deaths."""


@dataclass(slots=True)
class Member:
    """One worker process, and its successors."""

    name: str
    launch: Callable[[], Child]
    child: Child | None = None
    deaths: int = 0
    lives: int = 0
    _launched_at: float = 0.0
    _retry_at: float = field(default=0.0)

    def start(self, now: float) -> None:
        self.child = self.launch()
        self._launched_at = now
        self.lives += 1

    def tend(self, now: float, *, stood: bool = True) -> int | None:
        """Start it again when it is gone and its time has come.

        Its exit code where none has `stood` yet: an error at the very first start is for whoever started us.
        """
        if self.child is not None:
            if self.child.alive:
                return None
            code = self.child.exit_code or 0
            if not stood and code > 0:
                return code
            self._mourn(now, code)
        if now >= self._retry_at:
            self._start_again(now)
        return None

    def _start_again(self, now: float) -> None:
        try:
            self.start(now)
        except OSError as exc:  # often for want of memory, as its last life ended: the others go on
            self.deaths += 1
            log.warning("worker_not_started", name=self.name, error=str(exc), retry_in=self._pause(now))
            return
        assert self.child is not None  # noqa: S101 - just started
        log.info("worker_restarted", name=self.name, child_pid=self.child.pid, lives=self.lives)

    def _mourn(self, now: float, code: int) -> None:
        assert self.child is not None  # noqa: S101 - whoever calls has looked
        lived = now - self._launched_at
        steady = lived >= STEADY_AFTER  # one that is too large at once would be replaced without end
        self.deaths = self.deaths + 1 if not steady else 0 if code == RECYCLED else 1
        delay = self._pause(now)
        say = log.info if code == RECYCLED else log.warning
        say(
            "worker_ended",
            name=self.name,
            child_pid=self.child.pid,
            exit_code=code,
            reason=exit_words(code),
            retry_in=delay,
        )
        self.child = None

    def _pause(self, now: float) -> float:
        """Seconds until it is tried again, which begin now."""
        delay = restart_delay(self.deaths) if self.deaths else 0.0
        self._retry_at = now + delay
        return delay

    def ask_to_stop(self) -> None:
        if self.child is not None:
            self.child.send(signal.SIGTERM)

    def finish_stop(self, patience: float) -> None:
        if self.child is None:
            return
        if not self.child.wait(patience):
            log.warning("worker_killed", name=self.name, child_pid=self.child.pid)
        self.child.kill()
