"""Which sources does a process keep ready? Those of the connections that it served last.

A connector bound to a connection's settings holds readers and types made for it, which cost more to make than a run
with nothing new costs in all. Settings that differ in anything have a source of their own, so a changed connection is
never served by what was made before. Safe to share between threads.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from worker.connectors.contract import Source

MOST = 10_000


class BoundSources:
    """The sources of one connector by the settings that they were made with; those not used for longest go first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = Lock()
        self._sources: OrderedDict[str, Source] = OrderedDict()

    def get(self, settings: str, make: Callable[[], Source]) -> Source:
        """The source for these settings, made if it isn't there. What `make` raises is raised, and tried anew next time."""
        with self._lock:
            found = self._sources.get(settings)
            if found is not None:
                self._sources.move_to_end(settings)
                return found
        made = make()  # two threads may both make one: the first that comes back is kept
        with self._lock:
            kept = self._sources.setdefault(settings, made)
            self._sources.move_to_end(settings)
            if len(self._sources) > self._most:
                self._sources.popitem(last=False)
            return kept

    def __len__(self) -> int:
        return len(self._sources)
