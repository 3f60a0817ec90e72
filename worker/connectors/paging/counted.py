"""Which page comes next where pages are counted: by offset, by number, or by number and size?

Their places can be reckoned in advance, so pages may be read side by side, and made to overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from worker.connectors.contract import Position, Response, Seam
from worker.connectors.paging.paging import smaller
from worker.connectors.reading.reader import Seen
from worker.connectors.reading.shape import FieldPath

SMALLEST_OF_MANY = 20
"""From this size on, pages of several sizes can be made to overlap at any place up to 200 million records."""
MOST_SIZES = 200
MOST_STEPS_BACK = 8


@dataclass(frozen=True, slots=True)
class ByOffset:
    """Skip so many, send so many. Ends at an empty page, or a short one unless the total says that more is there.

    Unless the order is stable, a page begins with the last record of the one before it. The offset in a position is the
    place of the first record that is new.
    """

    param: str
    limit_param: str
    size: int
    until_empty: bool = False
    side_by_side: bool = True
    stable: bool = False
    pointer: FieldPath | None = None
    more: FieldPath | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def seam(self) -> Seam:
        return "none" if self.stable or self.size < 2 else "record"

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        return ((self.param, self._begin(position)), (self.limit_param, self.size))

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        offset = self._begin(position) + seen.count
        if offset <= _count(position, "offset", 0):
            return None  # nothing beyond what the page before held
        return {"offset": offset} if _goes_on(seen, offset, self.size, until_empty=self.until_empty) else None

    def onward(
        self, position: Position | None, following: Position, total: int | None, most: int
    ) -> Sequence[Position]:
        if not self.side_by_side:
            return ()
        at = following["offset"]
        came = at - self._begin(position)
        step = came - (1 if self.seam == "record" else 0)
        return [
            {"offset": at + step * ahead} for ahead in _within(total, at, step, most, full=came >= self.size)
        ]

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        size = smaller(self.size, divisor)
        if size < 2 and self.seam == "record":
            return None
        return (replace(self, size=size), position) if size else None

    def back(self, position: Position | None) -> Position | None:
        """Half a page: what is read again then goes beyond the place, should just its last record have changed."""
        return _back(position, max(2, self.size // 2))

    def _begin(self, position: Position | None) -> int:
        return max(0, _count(position, "offset", 0) - (1 if self.seam == "record" else 0))


@dataclass(frozen=True, slots=True)
class ByNumber:
    """Pages are numbered. Ends like `ByOffset`."""

    param: str
    size_param: str | None
    size: int
    first: int = 1
    until_empty: bool = False
    side_by_side: bool = True
    stable: bool = False
    pointer: FieldPath | None = None
    more: FieldPath | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def seam(self) -> Seam:
        return "none" if self.stable else "total"

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        number = (self.param, _count(position, "page", self.first))
        return (number, (self.size_param, self._size(position))) if self.size_param else (number,)

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        page, size = _count(position, "page", self.first), self._size(position)
        so_far = _count(position, "so_far", 0) + seen.count
        if isinstance(seen.pointer, int):  # the number of pages
            seen = replace(seen, more=page - self.first + 1 < seen.pointer)
        if not _goes_on(seen, so_far, size, until_empty=self.until_empty):
            return None
        return {"page": page + 1, "so_far": so_far, "size": size}

    def onward(
        self, position: Position | None, following: Position, total: int | None, most: int
    ) -> Sequence[Position]:
        if not self.side_by_side:
            return ()
        so_far = following["so_far"]
        step = so_far - _count(position, "so_far", 0)
        return [
            {**following, "page": following["page"] + ahead, "so_far": so_far + step * ahead}
            for ahead in _within(total, so_far, step, most, full=step >= self._size(position))
        ]

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        """A number means another place once pages are smaller, so the window begins anew."""
        del position
        size = smaller(self.size, divisor) if self.size_param else 0
        return (replace(self, size=size), None) if size else None

    def back(self, position: Position | None) -> Position | None:
        if position is None or position["page"] <= self.first:
            return None
        size = self._size(position)
        return {"page": position["page"] - 1, "so_far": max(0, position["so_far"] - size), "size": size}

    def _size(self, position: Position | None) -> int:
        """Within a window it stays what it was, whatever was said or remembered meanwhile: numbers count by it."""
        return int(position.get("size", self.size)) if position else self.size


@dataclass(frozen=True, slots=True)
class ByNumberAndSize:
    """Pages are numbered, and as large as is asked for: so they can be made to overlap, and then go like offsets.

    Of the sizes from half the largest up, that one is taken whose page holds the last record that was read and reaches
    farthest beyond it. The larger the pages, the fewer records are read twice.
    """

    param: str
    size_param: str
    size: int
    first: int = 1
    until_empty: bool = False
    side_by_side: bool = True
    pointer: FieldPath | None = None
    more: FieldPath | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def seam(self) -> Seam:
        return "record"

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        number, size = self._asked(position)
        return ((self.param, self.first + number), (self.size_param, size))

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        number, size = self._asked(position)
        offset = number * size + seen.count
        if offset <= _count(position, "offset", 0):
            return None
        return {"offset": offset} if _goes_on(seen, offset, size, until_empty=self.until_empty) else None

    def onward(
        self, position: Position | None, following: Position, total: int | None, most: int
    ) -> Sequence[Position]:
        number, size = self._asked(position)
        if not self.side_by_side or following["offset"] < (number + 1) * size:
            return ()
        found: list[Position] = []
        at = following
        for _ in range(most):
            number, size = self._asked(at)
            at = {"offset": (number + 1) * size}
            if total is not None and at["offset"] > total:
                break
            found.append(at)
        return found

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        size = smaller(self.size, divisor)
        return (replace(self, size=size), position) if size >= SMALLEST_OF_MANY else None

    def back(self, position: Position | None) -> Position | None:
        return _back(position, self.size // 2)

    def _asked(self, position: Position | None) -> tuple[int, int]:
        """How many pages are skipped, and their size."""
        at = _count(position, "offset", 0)
        if at == 0:
            return 0, self.size
        least = max(self.size // 2, self.size - MOST_SIZES)
        best = max(range(self.size, least, -1), key=lambda size: ((at - 1) // size + 1) * size)
        return (at - 1) // best, best


def _back(position: Position | None, step: int) -> Position | None:
    """So many places earlier, a page's overlap included; far back, where that was in vain several times."""
    at = _count(position, "offset", 0)
    if position is None or at == 0:
        return None
    times = int(position.get("back", 0)) + 1
    place = max(0, at - step + 1) if times <= MOST_STEPS_BACK else 0
    return {"offset": place if place > 1 else 0, "back": times}


def _count(position: Position | None, name: str, default: int) -> int:
    return int(position[name]) if position else default


def _within(total: int | None, at: int, step: int, most: int, *, full: bool) -> range:
    """How many steps beyond `at` a page is to be expected. Where all are full, an empty one at the total is the end."""
    if step <= 0:
        return range(0)
    if total is not None:
        most = min(most, (total - at - (0 if full else 1)) // step)
    return range(1, most + 1)


def _goes_on(seen: Seen, so_far: int, size: int, *, until_empty: bool) -> bool:
    if seen.count == 0 or seen.more is False:
        return False
    if seen.more:
        return True
    if seen.total is not None and so_far < seen.total:
        return True
    return until_empty or seen.count >= size
