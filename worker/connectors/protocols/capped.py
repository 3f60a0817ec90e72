"""How is a list read of which the system shows no more than so many records at a time? The paging's `cap`.

    paging: {offset: {param: offset, limit_param: limit, size: 500, cap: 10000}}
    incremental: {field: updated_at, param: updated_since, ordered: true}

Where the cap comes near, the list is asked for anew from a record on that was read already, by the cursor: what comes twice
costs next to nothing, as what is unchanged isn't written. A place among pages is then a cursor, and a place behind it.
"""

from collections.abc import Sequence
from dataclasses import replace

from worker.connectors.contract import CursorValue, Page, Position, Request, Response, Window
from worker.connectors.cursors import dump_cursor, load_cursor
from worker.connectors.protocols.carrying import CarryingStream
from worker.connectors.protocols.rest_stream import RestStream
from worker.errors import NeedsOperator


class CappedStream(CarryingStream):
    """One kind of record, in the order of its cursor. Its places carry along from where on the list was asked for anew."""

    carried = "from"

    def request(self, window: Window, position: Position | None) -> Request:
        return super().request(self._asked_from(window, position), position)

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        place = self.within(position)
        page = super().read(response, self._asked_from(window, position), place)
        if position is not None and place is None:
            page = replace(page, total=None)  # it is that of another question than the page before
        return replace(page, next=self._next(page, window, position))

    def sweep(self) -> RestStream | None:
        swept = self._spec.swept
        return CappedStream(swept, self._common) if swept is not None and swept.asked.cap else super().sweep()

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        return [place for place in super().onward(position, page, most) if self._fits(place)]

    def back(self, position: Position | None) -> Position | None:
        return super().back(position) or self._begin(position)

    def resized(self, divisor: int, position: Position | None) -> tuple[RestStream, Position | None] | None:
        changed = super().resized(divisor, position)
        if changed is None or position is None or self.within(position) is not None:
            return changed  # a place that can't be kept is no place: the window begins anew
        return changed[0], position

    def _asked_from(self, window: Window, position: Position | None) -> Window:
        """The window as this question asks for it."""
        if position is None or self.carried not in position:
            return window
        since = load_cursor(position[self.carried], timestamps=self.traits.timestamps)
        return replace(window, since=since)

    def _begin(self, position: Position | None) -> Position | None:
        """Where the question of this place begins, if that lies before it."""
        if position is None or self.carried not in position or self.within(position) is None:
            return None
        return {self.carried: position[self.carried]}

    def _next(self, page: Page, window: Window, position: Position | None) -> Position | None:
        """Behind this page, or at the beginning of another question."""
        if page.next is None or self._fits(page.next):
            return page.next and self.behind(position, page.next)
        before = self._asked_from(window, position).since
        cursors = [record.cursor for record in page.records if record.cursor is not None]
        # From the middle of the page on, so that the next one shows what this one ended with though one of it changes.
        for place in (len(cursors) // 2, -1):
            if cursors and self._leads_on(before, cursors[place]):
                return {self.carried: dump_cursor(cursors[place])}
        raise NeedsOperator(
            "row_cap",
            f"The system shows no more than {self._spec.asked.cap:,} records at a time, and so many bear one cursor as it is asked for.",
            hint="Ask by a finer time in the manifest, or page by keyset where the system can.",
        )

    def _leads_on(self, before: CursorValue | None, cursor: CursorValue) -> bool:
        """Whether a question from that cursor on is another one than that before: later, also as it is said."""
        asked = self._spec.incremental
        if before is None or asked is None:
            return True
        return cursor > before and asked.said(cursor) != asked.said(before)  # type: ignore[operator]

    def _fits(self, place: Position) -> bool:
        """Whether the whole page at that place is one that the system shows."""
        reached = int(place.get("offset", place.get("so_far", 0)))
        return reached + int(place.get("size", getattr(self._paging, "size", 0))) <= self._spec.asked.cap
