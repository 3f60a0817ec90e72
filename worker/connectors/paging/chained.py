"""Which page comes next where only the page before it says so: by an opaque text, by a link, or never?

A page that leads to itself, or to one already seen, raises Transient `paging_stuck`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from worker.connectors.contract import Position, Response, Seam
from worker.connectors.paging.links import are_links, link_among, link_of, same_origin
from worker.connectors.paging.paging import smaller
from worker.connectors.reading.reader import Seen
from worker.connectors.reading.shape import FieldPath
from worker.errors import Transient


class Chained:
    """Only a page's own answer says what comes after it."""

    __slots__ = ()

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

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
class OnePage(Chained):
    """Everything comes in one answer."""

    pointer: FieldPath | None = None
    more: FieldPath | None = None

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        del position
        return ()

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        del position, seen, response
        return None

    def resized(self, divisor: int, position: Position | None) -> None:
        del divisor, position


@dataclass(frozen=True, slots=True)
class ByCursor(Chained):
    """The answer holds an opaque text for the next request, in its body or a header. Ends where that is missing, null or
    empty, or where the answer says that there is no more.
    """

    param: str
    path: FieldPath | None = None
    size_param: str | None = None
    size: int = 0
    header: str | None = None
    more: FieldPath | None = None

    @property
    def pointer(self) -> FieldPath | None:
        return self.path

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        size = ((self.size_param, self.size),) if self.size_param else ()
        return (*size, (self.param, str(position["cursor"]))) if position else size

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        value = seen.pointer if self.header is None else response.headers.get(self.header.lower())
        if value is None or value is False or value == "" or seen.more is False:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Transient(
                "malformed_page", f"The cursor of the next page is {type(value).__name__}, not text."
            )
        return advance(position, "cursor", str(value))

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        size = smaller(self.size, divisor) if self.size_param else 0
        return (replace(self, size=size), position) if size else None


@dataclass(frozen=True, slots=True)
class ByLink(Chained):
    """The answer holds the URL of the next page, in its body or in a `Link` header. It is followed as it is.

    In the body it may stand alone, in an object, or in a list of links that each say by `rel` where they lead.
    """

    base_url: str = ""
    path: FieldPath | None = None
    size_param: str | None = None
    size: int = 0
    size_header: str | None = None
    size_template: str = "{size}"
    header: str | None = None
    """The header that holds the URL alone, where it isn't a Link header."""
    more: FieldPath | None = None

    @property
    def pointer(self) -> FieldPath | None:
        return self.path

    @property
    def headers(self) -> Mapping[str, str]:
        if self.size_header is None:
            return {}
        return {self.size_header: self.size_template.replace("{size}", str(self.size))}

    def params(self, position: Position | None) -> Sequence[tuple[str, Any]]:
        return ((self.size_param, self.size),) if self.size_param and position is None else ()

    def following(self, position: Position | None, seen: Seen, response: Response) -> Position | None:
        link = self._link(seen, response)
        if isinstance(link, Mapping):  # {"href": …}: some write the link, some an object around it
            link = link.get("href", link.get("url", link))
        elif are_links(link):
            link = link_among(link)
        if link is None or link is False or link == "" or seen.more is False:
            return None
        if not isinstance(link, str):
            raise Transient(
                "malformed_page", f"The link to the next page is {type(link).__name__}, not text."
            )
        return advance(position, "url", same_origin(self.base_url, link, seen_at=response.url))

    def _link(self, seen: Seen, response: Response) -> Any:
        if self.path is not None:
            return seen.pointer
        return link_of(response.headers) if self.header is None else response.headers.get(self.header.lower())

    def resized(self, divisor: int, position: Position | None) -> tuple[Self, Position | None] | None:
        """A link holds the size that it was made with and is followed as it is, so the window begins anew."""
        del position
        size = smaller(self.size, divisor) if self.size_param or self.size_header else 0
        return (replace(self, size=size), None) if size else None


def advance(position: Position | None, name: str, value: str) -> Position:
    """The next position of a page that only the one before it names. A circle of any length is found with one remembered page (Brent's method)."""
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
