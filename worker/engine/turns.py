"""Which run goes next in this process, so that no slow system fills every slot?

The slots of a worker serve all its systems, first come, first served, up to a point: a third is kept for others. A run
whose system has its fill waits here, and the next thread that is free goes on with it; meanwhile that thread's slot is
open to whoever comes. A system without a run at work is always let in, so nobody starves. What waits here is a wake-up
call like any other: should this process die, beat sends it again.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

KEPT_SHARE = 3
"""One slot in so many is kept for other systems."""
MOST_WAITING = 8
"""Times the slots: what comes on top is dropped, and will come again."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    run_id: str
    system: str
    lane: int


class Turns:
    """The slots of one process. Safe to share between threads."""

    def __init__(self, slots: int, *, shared: bool = True) -> None:
        self._slots = slots
        self._kept = slots // KEPT_SHARE if shared else 0
        self._shared = shared
        self._lock = threading.Lock()
        self._working: Counter[str] = Counter()
        self._waiting: dict[str, _Waiting] = {}

    def take(self, queue: str, run_id: str) -> Iterator[str]:
        """The runs that the calling thread should carry out now, one after the other; none when others must go first."""
        with self._lock:
            if len(self._waiting) < MOST_WAITING * self._slots:
                self._waiting.setdefault(run_id, _Waiting(run_id, *_split(queue)))
        while (turn := self._next()) is not None:
            try:
                yield turn.run_id
            finally:
                with self._lock:
                    self._working[turn.system] -= 1

    def _next(self) -> _Waiting | None:
        """The most urgent run that may go, the oldest first; its slot is taken."""
        with self._lock:
            allowed = [waiting for waiting in self._waiting.values() if self._may_go(waiting.system)]
            if not allowed:
                return None
            turn = min(allowed, key=lambda waiting: waiting.lane)
            del self._waiting[turn.run_id]
            self._working[turn.system] += 1
            return turn

    def _may_go(self, system: str) -> bool:
        mine, total = self._working[system], self._working.total()
        if mine == 0 or not self._shared:
            return True
        others = sum(1 for other, count in self._working.items() if count and other != system)
        return self._slots - total > self._kept or mine < self._slots // (max(1, others) + 1)


def _split(queue: str) -> tuple[str, int]:
    """A queue's system and how urgent it is: `write.<system>`, `sync.<system>.live`, `sync.<system>[.bulk]`."""
    kind, _, rest = queue.partition(".")
    if kind == "write":
        return rest, 0
    system, _, lane = rest.partition(".")
    return system, 1 if lane == "live" else 2
