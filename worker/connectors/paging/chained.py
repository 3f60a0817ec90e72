"""Which page comes next where only the page before it says so: by an opaque text, by a link, or never?

A page that leads to itself, or to one already seen, raises Transient `paging_stuck`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from worker.connectors.contract import Position, Response, Seam
from worker.connectors.paging.links import link_of, same_origin
from worker.connectors.paging.paging import smaller
from worker.connectors.reading.reader import Seen
from worker.connectors.reading.shape import FieldPath
from worker.errors import Transient


class _Chained:
    """Only a page's own answer says what comes after it."""

    __slots__ = ()

    @property
    def seam(self) -> Seam:
        return "none"

    def back(self, position: Position | None) -> Position | None:
        del position
        return None

    def onward(
        self, position: Position | None, following: Position, total: int | None, most: int
    ) -> Sequence[Position]:
        del position, following, total, most
        return ()


@dataclass(frozen=True, slots=True)
class OnePage(_Chained):
    """Everything comes in one answer."""

    pointer: FieldPath | None = None

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        del position
        return ()

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del position, seen, response
        return None

    def resized(self, divisor: int, position: Position | None) -> None:
        del divisor, position


@dataclass(frozen=True, slots=True)
class ByCursor(_Chained):
    """The answer holds an opaque text for the next request. Ends where it is missing, null or empty."""

    param: str
    path: FieldPath
    size_param: str | None = None
    size: int = 0

    @property
    def pointer(self) -> FieldPath | None:
        return self.path

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        size = ((self.size_param, str(self.size)),) if self.size_param else ()
        return (*size, (self.param, str(position["cursor"]))) if position else size

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del response
        value = seen.pointer
        if value is None or value is False or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Transient(
                "malformed_page", f"The cursor of the next page is {type(value).__name__}, not text."
            )
        return _advance(position, "cursor", str(value))

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        size = smaller(self.size, divisor) if self.size_param else 0
        return (replace(self, size=size), position) if size else None


@dataclass(frozen=True, slots=True)
class ByLink(_Chained):
    """The answer holds the URL of the next page, in its body or in a `Link` header. It is followed as it is."""

    base_url: str = ""
    path: FieldPath | None = None
    size_param: str | None = None
    size: int = 0

    @property
    def pointer(self) -> FieldPath | None:
        return self.path

    def params(self, position: Position | None) -> Sequence[tuple[str, str]]:
        return ((self.size_param, str(self.size)),) if self.size_param and position is None else ()

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        link = seen.pointer if self.path is not None else link_of(response.headers)
        if link is None or link is False or link == "":
            return None
        if not isinstance(link, str):
            raise Transient(
                "malformed_page", f"The link to the next page is {type(link).__name__}, not text."
            )
        return _advance(position, "url", same_origin(self.base_url, link, seen_at=response.url))

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        """A link holds the size that it was made with and is followed as it is, so the window begins anew."""
        del position
        size = smaller(self.size, divisor) if self.size_param else 0
        return (replace(self, size=size), None) if size else None


def _advance(position: Position | None, name: str, value: str) -> Position:
    """The next position. A circle of any length is found with one remembered page (Brent's method)."""
    if position is None:
        return {name: value, "mark": value, "steps": 0, "reach": 1}
    if value in {position[name], position["mark"]}:
        raise Transient(
            "paging_stuck", "The system sends the same page again and again: its next page was already read."
        )
    steps = position["steps"] + 1
    if steps >= position["reach"]:
        return {name: value, "mark": value, "steps": 0, "reach": position["reach"] * 2}
    return {name: value, "mark": position["mark"], "steps": steps, "reach": position["reach"]}
