"""What do the runs of a process share to fetch pages ahead of their turn? Threads, memory, and what they learned of sizes.

Every run has one thread for it whenever it wants. The spare ones are lent: no run has more than its share of them among
those that borrow, so one with a thousand pages to ask for at once leaves room for the others.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock

from worker.engine.fetching.memory import PageMemory
from worker.engine.fetching.sizes import PageSizes

SPARE_RUNS = 2
"""Spare threads are enough for so many runs at their full width."""


class Ahead:
    """One per process, shared by its runs. No thread is started before it is needed."""

    def __init__(self, runs: int, *, side_by_side: int = 8, memory: int = 128 * 1024 * 1024) -> None:
        self.side_by_side = side_by_side
        self.memory = PageMemory(memory)
        self.sizes = PageSizes()
        self._spare = SPARE_RUNS * side_by_side
        self._threads = ThreadPoolExecutor(runs + self._spare, thread_name_prefix="ahead")
        self._lock = Lock()
        self._lent: Counter[object] = Counter()

    def start(self, work: Callable[[], None]) -> bool:
        """Have this done by a thread, whose log lines carry the caller's names; False once the process ends."""
        try:
            self._threads.submit(copy_context().run, work)
        except RuntimeError:
            return False
        return True

    def lend(self, borrower: object) -> bool:
        """One more of the spare threads, if the borrower's share is not used up."""
        with self._lock:
            borrowers = len(self._lent) + (borrower not in self._lent)
            share = max(1, self._spare // borrowers)
            if self._lent.total() >= self._spare or self._lent[borrower] >= share:
                self._forget(borrower)
                return False
            self._lent[borrower] += 1
            return True

    def take_back(self, borrower: object) -> None:
        """One of the lent threads is free again."""
        with self._lock:
            self._lent[borrower] -= 1
            self._forget(borrower)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, borrower: object) -> None:
        if self._lent[borrower] <= 0:
            del self._lent[borrower]
