"""What is a way of paging? It says which page comes next, and which ones after it: arithmetic on positions.

A position is a small JSON object, kept with each page's commit. Pages that can be reckoned are in `counted`, those that
only the page before them names in `chained`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from worker.connectors.contract import Position, Response, Seam
from worker.connectors.reading.reader import Seen
from worker.connectors.reading.shape import FieldPath


class Paging(Protocol):
    """One way of paging."""

    @property
    def pointer(self) -> FieldPath | None:
        """Where the body says what comes next."""
        ...

    @property
    def more(self) -> FieldPath | None:
        """Where the body says whether there is more: true or false."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request for a page carries."""
        ...

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        """The names of places and what is put there: whole numbers and texts."""
        ...

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        """The next position; None at the end."""
        ...

    def onward(
        self, position: Position | None, following: Position, total: int | None, most: int
    ) -> Sequence[Position]:
        """Up to `most` positions after `following`, if pages stay as full as the one at `position`."""
        ...

    @property
    def seam(self) -> Seam:
        """How a page is seen to go on where the one before ended."""
        ...

    def back(self, position: Position | None) -> Position | None:
        """Where to read again; see `Stream.back`."""
        ...

    def resized(self, divisor: int, position: Position | None) -> "tuple[Paging, Position | None] | None":
        """With pages a `divisor`-th as large, and the same place in them; see `Stream.resized`."""
        ...


def smaller(size: int, divisor: int) -> int:
    """The size divided; 0 where that is no smaller than half the divisor makes it."""
    if divisor == 1:
        return size
    return max(1, size // divisor) if max(1, size // (divisor // 2)) > 1 else 0
