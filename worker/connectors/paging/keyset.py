"""Which page comes next where records are asked for that lie behind the last one in an order that stays?

A position is what the last record of the page before holds of that order. Records that are added or removed meanwhile move
nothing, and no system counts up to a place far inside, so this is the way of paging to choose where it can be chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from worker.connectors.contract import Position, Response
from worker.connectors.paging.chained import Chained, advance
from worker.connectors.paging.paging import smaller
from worker.connectors.reading.fields import walk
from worker.connectors.reading.reader import Seen
from worker.connectors.reading.shape import FieldPath
from worker.errors import NeedsOperator, Transient


@dataclass(frozen=True, slots=True)
class ByKeyset(Chained):
    """What lies behind the last record. Ends at a short page, or an empty one (`until_empty`)."""

    order: tuple[FieldPath, ...]
    """The fields that records are sorted by; together they name one record."""
    size: int
    size_param: str | None = None
    param: str | None = None
    """Where the value of the only field goes; None: a condition says it."""
    until_empty: bool = False
    more: FieldPath | None = None
    pointer: FieldPath | None = None
    """Where the answer has a link to its next page. It isn't followed; that there is one says that there is more."""

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        size = ((self.size_param, self.size),) if self.size_param else ()
        if position is None or self.param is None:
            return size
        return (*size, (self.param, self.behind(position)[0]))

    def behind(self, position: Position) -> list[Any]:
        """What the last record that was read holds, field by field."""
        found: list[Any] = msgspec.json.decode(position["behind"])
        return found

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        if seen.last is None or seen.more is False:
            return None
        full = seen.count >= self.size or self.until_empty or bool(seen.pointer)
        if seen.more is None and not full:
            return None
        place = self._place(seen.last)
        if seen.first is not None and _is_backward(self._values(seen.first), place):
            names = ", ".join(".".join(path) for path in self.order)
            message = f"The records of a page don't come in the order of {names}, by which the next page is asked for."
            raise NeedsOperator(
                "paging_order", message, hint="Ask for that order in the manifest: a parameter such as sort."
            )
        return advance(position, "behind", msgspec.json.encode(place).decode())

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        size = smaller(self.size, divisor) if self.size_param else 0
        return (replace(self, size=size), position) if size else None

    def _place(self, record: bytes) -> list[Any]:
        values = self._values(record)
        if any(value is None or isinstance(value, dict | list) for value in values):
            names = ", ".join(".".join(path) for path in self.order)
            raise Transient("malformed_page", f"The last record of the page doesn't say its place: {names}.")
        return values

    def _values(self, record: bytes) -> list[Any]:
        try:
            found = msgspec.json.decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found = None
        return [walk(found, path) for path in self.order]


def _is_backward(first: list[Any], last: list[Any]) -> bool:
    """Numbers fall. What texts are sorted by is the system's own matter."""
    counted = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (*first, *last))
    return counted and first > last
