"""How many connections may be tried out at the same time in one process, and how many by the same person?

A trial holds a thread for as long as its system takes to answer, and whoever has a link or a token chooses the system. So
nobody can have all threads of the API wait for a system that says nothing.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from worker.errors import Transient

MOST = 8
"""Of the forty threads that answer requests."""
MOST_OF_ONE = 2


class Room:
    """The trials of one process that are under way."""

    def __init__(self, most: int = MOST, of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._of_one = of_one
        self._lock = Lock()
        self._inside: Counter[str] = Counter()

    @contextmanager
    def place(self, whose: str) -> Iterator[None]:
        """A place for one trial of this token or link; `Transient` where there is none now, without waiting for one."""
        with self._lock:
            if self._inside[whose] >= self._of_one or self._inside.total() >= self._most:
                raise Transient("trials_full", "Other trials are under way. Try again in a minute.")
            self._inside[whose] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[whose] -= 1
                self._inside += Counter()  # whoever has none inside is forgotten


room = Room()
"""That of this process."""
