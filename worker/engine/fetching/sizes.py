"""How large should the pages of a stream be asked for? Remembered for each stream of a connection, in this process.

The manifest's size is the most. What is too slow or too large halves it (a time-out, a 413, a page beyond
the bound, or one so large that it crowds out others), down to a 64th; many good pages in a row double it again, and the more often that
proves wrong, the more pages that takes. Two runs of a stream may be at work at once: whoever writes last is right.
"""

from dataclasses import dataclass
from threading import Lock

from worker.errors import HeadraceError

SMALLEST = 64
GOOD_PAGES = 32
MOST_GOOD_PAGES = 1024
CROWDING = 32 * 1024 * 1024
MOST_REMEMBERED = 10_000
TOO_LARGE = "page_too_large"
TOO_SLOW = "timeout"


@dataclass(slots=True)
class PageSize:
    """What is known of one stream's pages."""

    divisor: int = 1
    """Pages are asked for in this part of the manifest's size."""
    bytes: int = 0
    """About the largest page of late; 0: small ones."""
    good: int = 0
    needed: int = GOOD_PAGES

    @property
    def smaller(self) -> int | None:
        """The next divisor down; None at the smallest."""
        return self.divisor * 2 if self.divisor < SMALLEST else None

    @property
    def larger(self) -> int | None:
        """The next divisor up, where so many pages went well that it is worth a try."""
        grown = self.divisor > 1 and self.good >= self.needed and 2 * self.bytes <= CROWDING
        return self.divisor // 2 if grown else None

    def shrank(self, divisor: int) -> None:
        self.divisor, self.good = divisor, 0
        self.needed = min(MOST_GOOD_PAGES, 2 * self.needed)
        self.bytes //= 2

    def grew(self, divisor: int) -> None:
        self.divisor, self.good = divisor, 0

    def came(self, size: int) -> None:
        """A page of so many bytes came in time."""
        self.good += 1
        self.bytes = max(size, self.bytes - self.bytes // 8)


class PageSizes:
    """The sizes of one process, by connection and stream; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[tuple[int, str], PageSize] = {}

    def of(self, connection_id: int, stream: str) -> PageSize:
        """What is known; what is noted in it is remembered once `keep` was called."""
        return self._known.get((connection_id, stream)) or PageSize()

    def keep(self, connection_id: int, stream: str, size: PageSize) -> None:
        with self._lock:
            self._known[connection_id, stream] = size
            if len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]


def too_much(error: HeadraceError) -> bool:
    """Might a smaller page have gone well?"""
    return error.code in {TOO_LARGE, TOO_SLOW}
