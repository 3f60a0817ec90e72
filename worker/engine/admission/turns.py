"""Which run goes next in this process, so that no slow system fills every slot?

The slots of a worker serve all its systems, first come, first served, up to a point: a third is kept for others. A run
whose system has its fill waits here, and the next thread that is free goes on with it; meanwhile that thread's slot is
open to whoever comes. A system without a run at work is always let in, so nobody starves.

Promises: what waits here is never dropped, for a message that is gone counts as sent until its time is over, and takes
the room of another meanwhile. Beat sends no more than a few for each slot, so that bounds it. When the process ends,
whoever waits is named, to be sent for at once; should it die, beat finds out.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

KEPT_SHARE = 3
"""One slot in so many is kept for other systems."""

_Line = tuple[int, str]
"""How urgent, and of which system."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    run_id: str
    system: str
    number: int
    """When it came, beside the others."""


class Turns:
    """The slots of one process. Safe to share between threads."""

    def __init__(self, slots: int, *, shared: bool = True) -> None:
        self._slots = slots
        self._kept = slots // KEPT_SHARE if shared else 0
        self._shared = shared
        self._lock = threading.Lock()
        self._working: Counter[str] = Counter()
        self._lines: dict[_Line, dict[str, _Waiting]] = {}
        """Who waits, in the order in which they came. A dict, since the same message may come twice."""
        self._came = 0
        self._closed = False

    def take(self, queue: str, run_id: str) -> Iterator[str]:
        """The runs that the calling thread should carry out now, one after the other; none when others must go first."""
        system, lane = _split(queue)
        with self._lock:
            self._came += 1
            line = self._lines.setdefault((lane, system), {})
            line.setdefault(run_id, _Waiting(run_id, system, self._came))
        while (turn := self._next()) is not None:
            try:
                yield turn.run_id
            finally:
                with self._lock:
                    self._end(turn.system)

    def close(self) -> None:
        """Let nobody begin any more; what comes now waits here with the others. For signal handlers: takes no lock."""
        self._closed = True

    def left(self) -> list[str]:
        """The runs that wait here, once nobody begins any more."""
        with self._lock:
            return [run_id for line in self._lines.values() for run_id in line]

    def _next(self) -> _Waiting | None:
        """The most urgent run that may go, the oldest first; its slot is taken."""
        with self._lock:
            if self._closed or (line := self._first_line()) is None:
                return None
            waiting = self._lines[line]
            turn = waiting.pop(next(iter(waiting)))
            if not waiting:
                del self._lines[line]
            self._working[turn.system] += 1
            return turn

    def _first_line(self) -> _Line | None:
        """Looks at each line and not at each run: a backlog stands here, and every thread asks."""
        allowed = (
            (lane, next(iter(waiting.values())).number, system)
            for (lane, system), waiting in self._lines.items()
            if self._may_go(system)
        )
        first = min(allowed, default=None)
        return None if first is None else (first[0], first[2])

    def _may_go(self, system: str) -> bool:
        mine = self._working[system]
        if mine == 0 or not self._shared:
            return True
        others = len(self._working) - 1
        return self._slots - self._working.total() > self._kept or mine < self._slots // (max(1, others) + 1)

    def _end(self, system: str) -> None:
        self._working[system] -= 1
        if not self._working[system]:
            del self._working[system]


def _split(queue: str) -> tuple[str, int]:
    """A queue's system and how urgent it is: `write.<system>`, `sync.<system>.live`, `sync.<system>[.bulk]`."""
    kind, _, rest = queue.partition(".")
    if kind == "write":
        return rest, 0
    system, _, lane = rest.partition(".")
    return system, 1 if lane == "live" else 2
