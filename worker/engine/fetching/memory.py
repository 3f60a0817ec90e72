"""How much of the pages that are read and not yet loaded may this process hold?

A counting gate over all runs. Small pages pass uncounted, so an idle process pays nothing. A larger one takes room as it
comes in; a page that is due waits until there is some, one that was asked for ahead of its turn is given up instead.
Promises: no deadlock, since at any time one page may come in whole beyond the budget, whoever holds the rest; so what is
held is at most the budget and one page more, and a page larger than the whole budget passes when it is alone or that one.
"""

import ctypes
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Condition
from time import monotonic

from worker.errors import RateLimited

SMALL = 1024 * 1024
LARGE = 8 * 1024 * 1024
PATIENCE = 30.0
COME_AGAIN = timedelta(seconds=5)


class PageMemory:
    """The gate of one process. Safe to share between threads."""

    def __init__(
        self,
        budget: int,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._budget = budget
        self._patience = patience
        self._clock = clock
        self._changed = Condition()
        self._taken = 0
        self._waiting: list[Room] = []
        self._beyond: Room | None = None
        """The one that came in beyond the budget."""

    @property
    def taken(self) -> int:
        """Bytes of pages in memory, small ones left out."""
        return self._taken

    def room(self, expected: int, *, give_way: Callable[[], None]) -> "Room":
        """Room for a page that is due. Waits where there is none, after `give_way` gave up what this run holds itself."""
        room = Room(self, give_way)
        room.grow(expected)
        return room

    def room_ahead(self, expected: int) -> "Room | None":
        """Room for a page that isn't due yet; None where there is none now."""
        room = Room(self, None)
        return room if expected <= SMALL or self._fits(room, expected) else None

    def _grow(self, room: "Room", size: int) -> None:
        if self._fits(room, size):
            return
        if room.give_way is None:
            raise self._no_room()
        room.give_way()
        ends = monotonic() + self._patience
        with self._changed:
            self._waiting.append(room)
            try:
                while not self._fits(room, size) and not self._goes_beyond(room, size):
                    left = ends - monotonic()
                    if left <= 0:
                        raise self._no_room()
                    self._changed.wait(left)
            finally:
                self._waiting.remove(room)
                self._changed.notify_all()

    def _fits(self, room: "Room", size: int) -> bool:
        """Take the room if it is there. What has none yet stands behind those that wait already."""
        with self._changed:
            first = not self._waiting or self._waiting[0] is room
            others = self._taken - room.size
            if not first and room.size == 0:
                return False
            if others and others + size > self._budget and self._beyond is not room:
                return False
            self._set(room, size)
            return True

    def _goes_beyond(self, room: "Room", size: int) -> bool:
        """A page that is half here can't wait for ever: others that are half here may wait for it."""
        with self._changed:
            if self._beyond is not None or room.size == 0:
                return False
            self._beyond = room
            self._set(room, size)
            return True

    def _set(self, room: "Room", size: int) -> None:
        with self._changed:
            self._taken += size - room.size
            room.size = size
            if size == 0 and self._beyond is room:
                self._beyond = None
            self._changed.notify_all()

    def _no_room(self) -> RateLimited:
        return RateLimited(
            "no_room",
            "Other large pages fill the memory that this worker has for pages.",
            resume_at=self._clock() + COME_AGAIN,
        )


def _trim() -> Callable[[int], object]:
    """The `malloc_trim` of glibc; other C libraries don't keep what was freed by thread, and need none."""
    trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _keep: None)
    return trim


_malloc_trim = _trim()


def give_back_to_the_system() -> None:
    """What earlier large pages took and is free again: glibc keeps it for the thread that read them, and each has some."""
    _malloc_trim(0)


class Room:
    """The room that one page takes, until it is released."""

    __slots__ = ("_memory", "give_way", "size")

    def __init__(self, memory: PageMemory, give_way: Callable[[], None] | None) -> None:
        self._memory = memory
        self.give_way = give_way
        self.size = 0

    def grow(self, size: int) -> None:
        """The page is known to have this many bytes by now. Raises RateLimited where it can't be taken."""
        if size <= SMALL or size <= self.size:
            return
        is_first = size >= LARGE > self.size
        self._memory._grow(self, size)  # noqa: SLF001
        if is_first:  # and not before: this page may have waited for those that others have freed now
            give_back_to_the_system()

    def settle(self, size: int) -> None:
        """The page is here and has this many bytes; what was taken beyond is given back."""
        if size >= LARGE:
            give_back_to_the_system()
        if size < self.size:
            self._memory._set(self, size)  # noqa: SLF001

    def release(self) -> None:
        """The page is loaded, or given up."""
        if self.size:
            self._memory._set(self, 0)  # noqa: SLF001
