"""What goes along with a place among pages, from one page to the next? For streams that need to remember more than paging does.

A position then holds one thing beside what the way of paging keeps there. Paging itself never sees it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from worker.connectors.contract import Page, Position, Request, Response, Window
from worker.connectors.paging.headers import LAST_MODIFIED
from worker.connectors.protocols.rest_stream import RestStream


class CarryingStream(RestStream):
    """One kind of record, whose places carry something along."""

    carried: ClassVar[str]
    """Its name in a position."""

    def request(self, window: Window, position: Position | None) -> Request:
        return super().request(window, self.within(position))

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        if page.next is None or (following := self.within(page.next)) is None:
            return ()
        found = super().onward(self.within(position), replace(page, next=following), most)
        return [self.behind(page.next, place) for place in found]

    def back(self, position: Position | None) -> Position | None:
        place = super().back(self.within(position))
        return None if place is None else self.behind(position, place)

    def resized(self, divisor: int, position: Position | None) -> tuple[RestStream, Position | None] | None:
        changed = super().resized(divisor, self.within(position))
        if changed is None or changed[1] is None:
            return changed
        return changed[0], self.behind(position, changed[1])

    def within(self, position: Position | None) -> Position | None:
        """The place as paging knows it."""
        if position is None or self.carried not in position:
            return position
        return {name: value for name, value in position.items() if name != self.carried} or None

    def behind(self, position: Position | None, place: Position) -> Position:
        """That place with what goes along with this position."""
        if position is None or self.carried not in position:
            return place
        return {**place, self.carried: position[self.carried]}


class FirstTokenStream(CarryingStream):
    """A list of several pages, each of which says in a header how old it is: an ETag of the whole, a time, a number.

    What changes while pages are read may be on one that was read before, and bear less than what the last page says. So the
    first page's token counts: the next window asks for all that has changed since.
    """

    carried = "first_token"

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = super().read(response, window, self.within(position))
        # Where the first page's time was too young to count, none of this window does; another header may come late.
        told = self._asked.told
        late = None if told is not None and told.token == LAST_MODIFIED else page.token
        token = page.token if position is None else position.get(self.carried, late)
        following = page.next
        if following is not None and token is not None:
            following = {**following, self.carried: token}
        return replace(page, token=token, next=following)
