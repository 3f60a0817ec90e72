"""What must happen at a time, though the thread that it is about waits for a database? One thread per process does it.

A statement whose time is out is given up by the database itself, as a rule; one that has stopped, or that the network
swallowed, is left alone by closing what leads to it. What is kept for the next request is closed when nobody came.
"""

import heapq
from collections.abc import Callable
from itertools import count
from threading import Condition, Thread
from time import monotonic

import structlog

log = structlog.get_logger(__name__)


class Alarm:
    """Something that is done at its time, unless it is put off for good."""

    __slots__ = ("_do", "_done")

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._done = False

    def cancel(self) -> None:
        self._done = True

    def go(self) -> None:
        if self._done:
            return
        self._done = True
        try:
            self._do()
        except Exception as exc:  # noqa: BLE001 - it is about to break what it is about
            log.debug("alarm_failed", error=type(exc).__name__)


class Watch:
    """The alarms of a process. No thread is started before the first."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._due: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._running = False

    def at(self, moment: float, do: Callable[[], None]) -> Alarm:
        """Have this done at a moment of the monotonic clock."""
        alarm = Alarm(do)
        with self._changed:
            heapq.heappush(self._due, (moment, next(self._numbers), alarm))
            if not self._running:
                self._running = True
                Thread(target=self._run, name="sql-watch", daemon=True).start()
            elif self._due[0][2] is alarm:
                self._changed.notify()
        return alarm

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > monotonic():
                    self._changed.wait(None if not self._due else max(0.0, self._due[0][0] - monotonic()))
                alarm = heapq.heappop(self._due)[2]
            alarm.go()
