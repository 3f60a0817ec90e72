"""How often may one address be wrong? As often as people are by mistake, and no oftener. Decisions in bounded memory.

A token has 128 random bits, so no number of guesses finds one; this keeps guessing from costing more than a glance. What
can be no token by its checksum is counted apart, and so are sessions: neither can use up the tries of a token that was
never seen here. Who was let in before from the same address is looked up whatever the neighbours do, so that a guesser
behind a shared address doesn't shut the others out.

One process decides with what it knows; what all together have counted (`worker.limits.guesses`) is told to it after each
wrong one. So guesses that are under way in several processes at once may be more than the tries, by as many as each
process has: they are owed, and the next waits for them.

Does not promise anything against guessers with many addresses: each has tries of its own.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from scheduler.access.door.sources import neighbourhood

TRIES = 20
"""At once; a used one comes back after `EACH` seconds."""
EACH = 3.0
MOST_SOURCES = 10_000
MOST_KNOWN = 10_000


class Kind(StrEnum):
    """What somebody shows."""

    TOKEN = "token"  # noqa: S105 - a kind of credential
    SESSION = "session"
    MALFORMED = "malformed"


class Guessing:
    """The tries that are left, in one process and one thread: the event loop's."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[tuple[str, Kind], float] = OrderedDict()
        self._known: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def take(self, source: str | None, kind: Kind, digest: bytes) -> int:
        """Take a try, before it is known how it ends: many at once get no more than one after another. Seconds to wait; 0: go on."""
        if (neighbourhood(source), digest) in self._known:
            return 0
        place, now = (neighbourhood(source), kind), self._clock()
        full_at = max(self._full_at.get(place, now), now) + EACH
        missing = full_at - now - TRIES * EACH
        if missing > 1e-9:
            return max(1, math.ceil(missing))
        self._remember(self._full_at, place, full_at, MOST_SOURCES)
        return 0

    def was_right(self, source: str | None, kind: Kind, digest: bytes) -> None:
        """It was no guess: the try comes back, and whoever it was is known here."""
        neighbours = neighbourhood(source)
        if (neighbours, digest) not in self._known and (neighbours, kind) in self._full_at:
            self._full_at[neighbours, kind] -= EACH
        self._remember(self._known, (neighbours, digest), None, MOST_KNOWN)

    def was_wrong(self, source: str | None, kind: Kind, digest: bytes) -> None:
        """Whoever was known is so no more, and has used up a try as any other: what is left doesn't tell the two apart."""
        place, now = (neighbourhood(source), kind), self._clock()
        known = (place[0], digest)
        if known in self._known:
            del self._known[known]
            self._remember(self._full_at, place, max(self._full_at.get(place, now), now) + EACH, MOST_SOURCES)

    def left(self, source: str | None, kind: Kind) -> tuple[int, int]:
        """How many tries there are now, and in how many seconds all are there again."""
        now = self._clock()
        missing = max(0.0, self._full_at.get((neighbourhood(source), kind), now) - now)
        return max(0, TRIES - math.ceil(missing / EACH - 1e-6)), math.ceil(missing)

    def heard(self, source: str | None, kind: Kind, used: float) -> int:
        """All processes together have used up so many seconds' worth of tries, this one's last among them. Seconds to wait
        where that was one too many; 0: it wasn't.
        """
        place, now = (neighbourhood(source), kind), self._clock()
        full_at = max(self._full_at.get(place, now), now + used)
        self._remember(self._full_at, place, full_at, MOST_SOURCES)
        missing = used - TRIES * EACH
        return 0 if missing <= 1e-9 else max(1, math.ceil(missing + EACH))

    @staticmethod
    def _remember(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
        kept[key] = value
        kept.move_to_end(key)
        if len(kept) > most:
            kept.popitem(last=False)
