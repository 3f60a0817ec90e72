"""How much of what a tap says lies between it and the copy? A few megabytes: whoever reads waits while nobody takes more.

That is all the back-pressure there is: a tap whose pipe is full waits by itself.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from worker.connectors.protocols.singer_calls import Odd, Versions
from worker.errors import HeadraceError, Transient

FULL = 4 * 1024 * 1024
MOST_RECORDS = 1000
MOST_BYTES = 4 * 1024 * 1024
FORGOTTEN = 300.0
"""Seconds without room after which nobody will take what lies there."""
LINGERS = 0.25
"""Seconds for which a batch that has begun waits for more."""


@dataclass(slots=True)
class Batch:
    """What was taken together."""

    records: list[bytes] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)
    state: bytes | None = None
    size: int = 0
    done: bool = False
    versions: Versions = "none"


class Closed(Exception):
    """Nobody takes any more."""


@dataclass(frozen=True, slots=True)
class _State:
    raw: bytes


class Mailbox:
    """From the thread that reads a tap to those that ask for its batches."""

    def __init__(self, most: int = MOST_RECORDS) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[bytes | Odd | _State] = deque()
        self._held = 0
        self._closed = False
        self._end: HeadraceError | None = None
        self._ended = False
        self._versions: Versions = "none"

    def put(self, said: bytes | Odd | _State) -> None:
        """Wait for room, and leave it. Raises `Closed`."""
        with self._changed:
            has_room = self._changed.wait_for(lambda: self._held < FULL or self._closed, FORGOTTEN)
            if self._closed or not has_room:
                raise Closed
            self._waiting.append(said)
            self._held += _weight(said)
            self._changed.notify_all()

    def state(self, raw: bytes) -> None:
        """All before this is told by it."""
        self.put(_State(raw))

    def end(self, failure: HeadraceError | None = None, *, versions: Versions = "none") -> None:
        """Nothing more comes; `failure` is raised once all before it was taken."""
        with self._changed:
            if not self._ended:
                self._ended, self._end, self._versions = True, failure, versions
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody takes any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._held = 0
            self._changed.notify_all()

    def take(self, within: float) -> Batch:
        """What is there, after `within` seconds at the latest; empty: nothing came meanwhile."""
        batch = Batch()
        ends = monotonic() + within
        with self._changed:
            while True:
                if self._closed:
                    raise Transient("tap_closed", "Nobody wanted the tap's records any more.")
                self._fill(batch)
                if self._is_full(batch):
                    break
                if not self._waiting and self._ended:
                    if self._end is not None and not batch.size and batch.state is None:
                        raise self._end
                    batch.done = self._end is None
                    batch.versions = self._versions
                    break
                if batch.size:
                    ends = min(ends, monotonic() + LINGERS)
                if (left := ends - monotonic()) <= 0:
                    break
                self._changed.wait(left)
            self._changed.notify_all()
        return batch

    def _fill(self, batch: Batch) -> None:
        while self._waiting and not self._is_full(batch):
            said = self._waiting.popleft()
            self._held -= _weight(said)
            if isinstance(said, _State):
                batch.state = said.raw
                continue
            batch.size += _weight(said)
            if isinstance(said, bytes):
                batch.records.append(said)
            else:
                batch.odd.append(said)
        if self._held < FULL:
            self._changed.notify_all()

    def _is_full(self, batch: Batch) -> bool:
        return len(batch.records) + len(batch.odd) >= self._most or batch.size >= MOST_BYTES


def _weight(said: bytes | Odd | _State) -> int:
    if isinstance(said, Odd):
        return len(said.begins) + len(said.reason)
    return len(said.raw if isinstance(said, _State) else said)
