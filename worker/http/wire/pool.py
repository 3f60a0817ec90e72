"""Which connection does a request go over? At most so many in this process, kept open between requests.

Promises: taking one costs the same however many hosts and connections there are (one lookup under one lock, no look at
the others); one that the system closed, or on which something came unasked, is not used; where all are in use a caller
waits a while for one, and an idle connection to somebody else makes room.
"""

from collections.abc import Callable
from threading import Condition
from time import monotonic

import httpx

from worker.http.wire.line import Line
from worker.http.wire.message import Origin

MOST_OPEN = 500
"""More than a process has threads that send; below the 1,024 files that a process may commonly have open."""
MOST_IDLE = 200
KEPT_ALIVE = 60.0
"""Seconds. Most systems close after 5 to 75 s themselves, which is noticed."""
PATIENCE = 10.0
SWEEP = 5.0


class Pool:
    """The open connections of one process, in use and idle. Shared by threads."""

    def __init__(
        self,
        *,
        most_open: int = MOST_OPEN,
        most_idle: int = MOST_IDLE,
        kept_alive: float = KEPT_ALIVE,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._most_open = most_open
        self._most_idle = most_idle
        self._kept_alive = kept_alive
        self._now = now
        self._changed = Condition()
        self._idle: dict[Origin, list[Line]] = {}
        self._idle_count = 0
        self._open = 0
        self._next_sweep = 0.0
        self.closed = False

    def take(self, origin: Origin, patience: float) -> Line | None:
        """A kept connection, the latest used first, or None: leave to open one, which is to be given back or lost."""
        while (line := self._kept_or_room(origin, patience)) is not None:
            if line.expires > self._now() and line.quiet:
                return line
            self.lose(line)
        return None

    def give_back(self, line: Line) -> None:
        """It may be used again."""
        now, late = self._now(), list[Line]()
        with self._changed:
            if now >= self._next_sweep:
                self._next_sweep = now + SWEEP
                late = self._expired(now)
            if self.closed or self._idle_count >= self._most_idle:
                late.append(line)
            else:
                line.expires = now + self._kept_alive
                self._idle.setdefault(line.origin, []).append(line)
                self._idle_count += 1
            self._open -= len(late)
            self._changed.notify()
        for each in late:
            each.close()

    def lose(self, line: Line | None) -> None:
        """It must not be used again, or could not be opened."""
        with self._changed:
            self._open -= 1
            self._changed.notify()
        if line is not None:
            line.close()

    def close(self) -> None:
        """Close the idle ones now, and those in use when they come back."""
        with self._changed:
            self.closed = True
            lines = [line for kept in self._idle.values() for line in kept]
            self._idle.clear()
            self._open -= self._idle_count
            self._idle_count = 0
        for line in lines:
            line.close()

    def _kept_or_room(self, origin: Origin, patience: float) -> Line | None:
        until = self._now() + min(PATIENCE, patience)
        stranger: Line | None = None
        with self._changed:
            while True:
                if origin in self._idle:
                    return self._latest(origin)
                if self._open < self._most_open:
                    self._open += 1
                    return None
                if self._idle_count:
                    stranger = self._longest_idle()
                    break
                left = until - self._now()
                if left <= 0:
                    raise httpx.PoolTimeout("all connections are in use")
                self._changed.wait(left)
        stranger.close()  # its place is ours now
        return None

    def _latest(self, origin: Origin) -> Line:
        kept = self._idle[origin]
        line = kept.pop()
        if not kept:
            del self._idle[origin]
        self._idle_count -= 1
        return line

    def _longest_idle(self) -> Line:
        origin = min(self._idle, key=lambda each: self._idle[each][0].expires)
        line = self._idle[origin].pop(0)
        if not self._idle[origin]:
            del self._idle[origin]
        self._idle_count -= 1
        return line

    def _expired(self, now: float) -> list[Line]:
        gone = [line for kept in self._idle.values() for line in kept if line.expires <= now]
        if gone:
            rest = {
                origin: [line for line in kept if line.expires > now] for origin, kept in self._idle.items()
            }
            self._idle = {origin: kept for origin, kept in rest.items() if kept}
            self._idle_count -= len(gone)
        return gone
