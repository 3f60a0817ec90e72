"""What does a process keep ready between runs? Sources and descriptions of the connections that it served last.

A connector bound to a connection's settings holds readers and types made for it, which cost more to make than a run
with nothing new costs in all. Settings that differ in anything have a source of their own, so a changed connection is
never served by what was made before. Safe to share between threads.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

MOST = 10_000

T = TypeVar("T")


def _alike(thing: object) -> int:
    del thing
    return 1


class Kept(Generic[T]):
    """Things of one connector by what they were made of, as many as weigh `most`; those not used for longest go first."""

    def __init__(self, most: int = MOST, *, weight: Callable[[T], int] = _alike) -> None:
        self._most = most
        self._weight = weight
        self._weighs = 0
        self._lock = Lock()
        self._things: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of this key, made if it isn't there. What `make` raises is raised, and tried anew next time."""
        with self._lock:
            found = self._things.get(key)
            if found is not None:
                self._things.move_to_end(key)
                return found
        made = make()  # two threads may both make one: the first that comes back is kept
        with self._lock:
            if (kept := self._things.get(key)) is not None:
                return kept
            self._things[key] = made
            self._weighs += self._weight(made)
            while self._weighs > self._most and len(self._things) > 1:
                _, oldest = self._things.popitem(last=False)
                self._weighs -= self._weight(oldest)
            return made

    def __len__(self) -> int:
        return len(self._things)
