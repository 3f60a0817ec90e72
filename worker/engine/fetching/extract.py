"""Where do pages come from? They are asked for before they are due, and handed out in the order in which they are due.

A page is loaded while the next ones are fetched, side by side where the stream can name them (`Stream.onward`), else one
after the other (`fetching.line`). What is committed stays in order, so the cursor's rule stays: what was fetched beyond a
page that fails, or beyond the end, is dropped. An error of a page that was asked for beside others is never the run's:
when its turn comes it is asked for again, alone. Pages that prove too large or too slow are asked for smaller
(`fetching.sizing`). A page that doesn't go on where the one before ended is stored, and what lies between is read
(`seams`). Where the first page is the last, no thread and no line are made.
Emits: pages_not_side_by_side, page_asked_again, pages_shifted.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from worker.connectors.contract import Page, Position, Stream, Window
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.details import Details, parted
from worker.engine.fetching.line import Answer, Entry, Line
from worker.engine.fetching.memory import Room
from worker.engine.fetching.sizes import too_much
from worker.engine.fetching.sizing import Sizing
from worker.engine.fetching.width import Width
from worker.engine.planning.plan import Plan, advance, is_last, is_neighbour, on_clock, turn_back
from worker.engine.planning.seams import MOST_ANEW, MOST_AT_ONE_PLACE, MOST_TURNS_BACK, without_marked
from worker.errors import HeadraceError, RateLimited, Transient
from worker.http.sender import CallContext, Sender

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, the plan that follows from it, and when it was asked for by the database's clock."""

    page: Page
    plan: Plan
    done: bool
    observed_at: datetime
    size: int
    """Bytes of the answer's body."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A page whose turn it is."""

    fetched: Fetched
    at: Position | None
    """Where it was read."""
    room: Room


class SourceClock(Protocol):
    """What the answers say of the clock behind them."""

    @property
    def skew(self) -> float:
        """Seconds by which it is ahead of ours."""
        ...

    def heard(self, headers: Mapping[str, str], sent: datetime, received: datetime) -> None:
        """Told of every answer, by several threads."""
        ...


class Extractor:
    """Reads the pages of one run."""

    def __init__(
        self,
        sender: Sender,
        context: CallContext,
        stream: Stream,
        *,
        ahead: Ahead,
        now: Callable[[], datetime],
        clock: SourceClock | None = None,
    ) -> None:
        self._sender = sender
        self._context = context
        self._stream = stream
        self._ahead = ahead
        self._now = now
        self._clock = clock
        self._details = Details(sender, context, ahead, self._most_at_once(stream.traits.details))
        self._sizing = Sizing(context, ahead.sizes, stream)
        self._line: Line | None = None
        self._width = Width(1)
        self._pages = self._anew = 0
        """Taken so far, and how often from the very first on again."""
        self._turned = Counter[int]()
        """From which places it turned back, and how often."""

    def pages(self, plan: Plan) -> Generator[Fetched, None, None]:
        """The pages from the plan's position to the end of its window. Close it where they aren't read to the end."""
        self._line, self._width = None, Width(self._most_at_once())
        self._turn_to(self._sizing.remembered(plan))
        taken = self._due(plan)
        room = taken.room
        try:
            while not taken.fetched.done:
                if not self._stream.traits.details:  # asks side by side already
                    self._look_ahead(taken)
                yield taken.fetched
                plan = taken.fetched.plan
                del taken  # its records shouldn't be held while the next page comes in
                room.release()
                taken = self._next(plan)
                room = taken.room
            last = [taken.fetched]
            del taken  # nor while a page of another run does
            yield last.pop()
        finally:
            room.release()
            self._leave()

    def next_is_here(self) -> bool:
        """Whether the page after the last one that was handed out can be had without waiting."""
        return self._line is not None and self._line.is_here()

    def _look_ahead(self, taken: _Taken) -> None:
        """Have asked what comes after this page."""
        following = taken.fetched.plan.position
        assert following is not None  # noqa: S101 - else it would be the last
        page = taken.fetched.page
        line = self._line
        if line is None:
            line = self._line = Line(self._ahead, self._read_ahead(taken.fetched.plan.window))
        elif not line.leads_to(following):
            log.debug("pages_not_side_by_side")
            self._width.guessed_wrong()
        self._width.arrived(end_known=page.total is not None)
        line.expected = self._sizing.expected
        onward = self._stream.onward(taken.at, page, self._width.line - 1)
        line.ask([following, *onward], self._width.now)

    def _next(self, plan: Plan) -> _Taken:
        """The page at the plan's position: from the line, or else asked for now."""
        entry = self._line.take(plan.position) if self._line and plan.position is not None else None
        if entry is None:
            return self._due(plan)
        if entry.answer is not None:
            try:
                return self._taken(plan, entry.answer, entry.room)
            except BaseException:
                entry.room.release()
                raise
        error = entry.error
        assert error is not None  # noqa: S101 - it has ended
        if not isinstance(error, HeadraceError) or not self._may_ask_again(entry, error):
            raise error
        if not entry.beside and too_much(error):
            return self._due(self._turn_to(self._sizing.less(plan, error)))
        self._hush(error)
        return self._due(plan, alone=True)

    def _may_ask_again(self, entry: Entry, error: HeadraceError) -> bool:
        """Beside others, or long before its turn, a page may be refused that would be granted alone, and now."""
        return entry.beside or too_much(error) or (isinstance(error, RateLimited) and not entry.awaited)

    def _due(self, plan: Plan, *, alone: bool = False) -> _Taken:
        """Ask for the page whose turn it is, in this thread."""
        while True:
            room = self._ahead.memory.room(self._sizing.expected, give_way=self._give_way)
            alone = alone or self._line is None or not self._line.is_busy
            try:
                return self._taken(plan, self._fetch(plan.window, plan.position, room), room)
            except HeadraceError as exc:
                room.release()
                if not alone:
                    self._hush(exc)
                elif too_much(exc):
                    plan = self._turn_to(self._sizing.less(plan, exc))
                else:
                    raise
                alone = True
            except BaseException:
                room.release()
                raise

    def _hush(self, error: HeadraceError) -> None:
        """Wait for the others of this run that are under way, and ask for fewer at once from here on."""
        if self._line is not None:
            self._line.hush()
        self._width.refused()
        log.debug("page_asked_again", error_code=error.code, at_once=self._width.now)

    def _taken(self, plan: Plan, answer: Answer, room: Room) -> _Taken:
        self._sizing.came(answer.size)
        page, traits = answer.page, self._stream.traits
        self._pages += 1
        if not is_neighbour(plan, page, traits) and (place := self._back(plan)) is not None:
            turned, page = turn_back(plan, page, place), replace(page, next=place)
            return _Taken(Fetched(page, turned, False, answer.observed_at, answer.size), plan.position, room)
        if self._clock is not None:
            plan = on_clock(plan, self._clock.skew)
        following, done = advance(plan, page, traits)
        if not done:
            following = self._turn_to(self._sizing.another(following))
        if plan.marks:
            page = without_marked(page, plan.marks)
        fetched = Fetched(page, following, done, answer.observed_at, answer.size)
        return _Taken(fetched, plan.position, room)

    def _back(self, plan: Plan) -> Position | None:
        """Where to read what may lie before a page that doesn't go on; raises where that would go on for ever."""
        if plan.turns_back == 0:
            self._context.steps.add("pages_shifted", 0.0)
            log.info("pages_shifted", at=dict(plan.position or {}))
        place = self._stream.back(parted(plan.position)[0])
        self._anew += place is None
        here = int((plan.position or {}).get("offset", -1))
        self._turned[here] += here >= 0
        stuck = self._turned[here] > MOST_AT_ONE_PLACE
        if stuck or self._anew > MOST_ANEW or plan.turns_back > MOST_TURNS_BACK + self._pages // 2:
            message = "Records change their places faster than their pages are read."
            hint = "Ask for larger pages, in an order that stays; `stable: true` if its pages can't overlap."
            raise Transient("pages_shift", message, hint=hint)
        return place

    def _read_ahead(self, window: Window) -> Callable[[Position, Room], Answer]:
        return lambda position, room: self._fetch(window, position, room)

    def _fetch(self, window: Window, position: Position | None, room: Room) -> Answer:
        """One page, and its records where it holds only their keys."""
        stream, observed_at, size = self._stream, self._now(), 0
        page = self._details.listed(position)
        if page is None:
            page, size = self._read(window, parted(position)[0], room, observed_at)
        if page.listed is not None and page.listed.pending:
            page, more = self._details.filled(stream, page, position, lambda come: room.grow(size + come))
            size += more
        room.settle(size)
        return Answer(page, size, observed_at, is_last(page, window, stream.traits))

    def _read(
        self, window: Window, position: Position | None, room: Room, sent: datetime
    ) -> tuple[Page, int]:
        """Ask for one page and read it. Its body is gone once its records are cut from it."""
        stream = self._stream
        response = self._sender.send(self._context, stream.request(window, position), room.grow)
        size = len(response.body)
        if self._clock is not None:
            self._clock.heard(response.headers, sent, self._now())
        with self._context.steps.step("parse", bytes=size) as step:
            page = stream.read(response, window, position)
            step.counts["records"] = len(page.records)
        return page, size

    def _turn_to(self, plan: Plan) -> Plan:
        """Ask from here on for pages of the size that was decided on: what is here in another is of no use."""
        if self._sizing.stream is not self._stream:
            self._stream = self._sizing.stream
            self._give_way()
        return plan

    def _most_at_once(self, wanted: int = 0) -> int:
        allowed = self._context.source.limits.concurrency
        most = min(wanted or self._ahead.side_by_side, self._ahead.side_by_side)
        return most if allowed is None else min(most, allowed)

    def _leave(self) -> None:
        """Nothing more is wanted. A request that is under way meanwhile may begin anew what was just ended."""
        self._give_way()
        if self._sender.let_go(self._context) and self._line is not None:
            self._line.hush()
            self._sender.let_go(self._context)

    def _give_way(self) -> None:
        """What is here ahead of its turn isn't worth its room."""
        if self._line is not None:
            self._line.drop()
