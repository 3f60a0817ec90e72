"""Which connections to databases are kept for the next request? A few per connection of ours, and none for long.

A kept one is handed out once. One that nobody came for in half a minute is closed, and a process keeps no more than a few
dozen in all. Another password, address or network is another connection. After a fork the child begins with none, and
leaves its parent's alone.
"""

import os
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from time import monotonic

from worker.sql.opening import Opened
from worker.sql.watch import Watch

IDLE = 30.0
MOST_EACH = 2
MOST = 40


class Pool:
    """The kept ones of a process; safe to share between threads."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lock = Lock()
        self._kept: OrderedDict[int, tuple[Hashable, float, Opened]] = OrderedDict()
        self._swept = False

    def take(self, key: Hashable) -> Opened | None:
        """The one that was used last."""
        with self._lock:
            found = next((at for at in reversed(self._kept) if self._kept[at][0] == key), None)
            return None if found is None else self._kept.pop(found)[2]

    def keep(self, key: Hashable, opened: Opened) -> None:
        """For whoever comes next."""
        closing: list[Opened] = []
        with self._lock:
            same = [at for at, (kept, _, _) in self._kept.items() if kept == key]
            if len(same) >= MOST_EACH:
                closing.append(self._kept.pop(same[0])[2])
            elif len(self._kept) >= MOST:
                closing.append(self._kept.popitem(last=False)[1][2])
            self._kept[id(opened)] = (key, monotonic(), opened)
            sweeps = not self._swept
            self._swept = True
        if sweeps:
            self._watch.at(monotonic() + IDLE, self._sweep)
        for each in closing:
            each.close()

    def close(self) -> None:
        with self._lock:
            closing = [opened for _, _, opened in self._kept.values()]
            self._kept.clear()
        for each in closing:
            each.close()

    def __len__(self) -> int:
        return len(self._kept)

    def _sweep(self) -> None:
        """Close what was kept for long enough, and come again while there is more."""
        now = monotonic()
        with self._lock:
            old = [at for at, (_, since, _) in self._kept.items() if now - since >= IDLE]
            closing = [self._kept.pop(at)[2] for at in old]
            self._swept = bool(self._kept)
            first = min((since for _, since, _ in self._kept.values()), default=now)
        if self._swept:
            self._watch.at(first + IDLE, self._sweep)
        for each in closing:
            each.close()


class Process:
    """What must not survive a fork."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.pool = Pool(self.watch)


_processes = [Process()]
"""The last is this process's; those before it are its parents', whose sockets stay open and untouched."""


def process() -> Process:
    return _processes[-1]


os.register_at_fork(after_in_child=lambda: _processes.append(Process()))
