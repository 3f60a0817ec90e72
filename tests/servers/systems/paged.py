"""A system that answers page by page as a test says, and an extractor that reads it. No socket: its answers are made here."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from worker.connectors.contract import Page, Position, Record, StreamTraits, Window
from worker.connectors.paging.chained import ByCursor
from worker.connectors.paging.counted import ByNumber, ByOffset
from worker.connectors.paging.paging import Paging
from worker.connectors.reading.reader import Seen
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.extract import Extractor, Fetched
from worker.errors import RateLimited
from worker.http.sender import CallContext, Sender
from worker.limits.policy import Limits
from worker.telemetry.steps import Steps

START = datetime(2026, 11, 24, tzinfo=UTC)
PATIENCE = 10


def refused() -> RateLimited:
    return RateLimited("budget_exhausted", "not now", resume_at=START)


@dataclass
class System:
    """Holds records by number; answers by what stands in a request's parameters, and as a test says."""

    records: int
    knows_total: bool = False
    lets: Callable[[int, int], None] = lambda _place, _times: None
    """May wait or raise, told the first record of the page that is asked for and how often it was asked for before."""
    most_at_once: int = 0
    asked: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    by_name: bool = False
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, start: int, size: int) -> tuple[list[Record], int]:
        with self._lock:
            times = self.asked.count(start)
            self.asked.append(start)
            self.sizes.append(size)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.lets(start, times)
        finally:
            with self._lock:
                self._at_once -= 1
        numbers = range(start, min(start + size, self.records))
        found = [Record(str(n), b"{}", b"", cursor=START + timedelta(seconds=n)) for n in numbers]
        return found, len(found)


class Stream:
    """A stream of that system, paged as the real ones are."""

    name = "parts"

    def __init__(self, system: System, paging: Paging, *, ordered: bool = False) -> None:
        self.system = system
        self.paging = paging
        self.traits = StreamTraits(incremental=True, ordered=ordered, timestamps=True, seam=paging.seam)

    def request(self, window: Window, position: Position | None) -> Any:
        asked = dict(self.paging.params(position))
        size = int(asked["limit"])
        if "page" in asked:
            return (int(asked["page"]) - 1) * size, size
        return int(asked.get("offset", asked.get("cursor", 0))), size

    def read(self, response: Any, window: Window, position: Position | None) -> Page:
        start, (records, count) = response.url
        total = self.system.records if self.system.knows_total else None
        more = start + count if start + count < self.system.records else None
        following = self.paging.following(position, Seen(count, more, total), response)
        return Page(records, next=following, total=total)

    def onward(self, position: Position | None, page: Page, most: int) -> Sequence[Position]:
        return () if page.next is None else self.paging.onward(position, page.next, page.total, most)

    def back(self, position: Position | None) -> Position | None:
        return self.paging.back(position)

    def resized(self, divisor: int, position: Position | None) -> "tuple[Stream, Position | None] | None":
        changed = self.paging.resized(divisor, position)
        if changed is None:
            return None
        smaller = Stream(self.system, changed[0], ordered=self.traits.ordered)
        return smaller, changed[1]


class Sending:
    """A sender that hands requests to the system as they are."""

    def __init__(self, system: System) -> None:
        self.system = system

    def send(self, context: CallContext, request: Any, comes: Callable[[int], None]) -> Any:
        start, size = request
        found = self.system.answer(start, size)
        comes(2)
        return SimpleNamespace(body=b"{}", headers={}, url=(start, found))

    def let_go(self, context: CallContext) -> bool:
        """It keeps nothing."""
        return False


OFFSET = ByOffset("offset", "limit", 10, stable=True)
NUMBER = ByNumber("page", "limit", 10, stable=True)
CURSOR = ByCursor("cursor", ("next",), "limit", 10)


def extractor(
    system: System, paging: Paging, ahead: Ahead, *, concurrency: int | None = None, ordered: bool = False
) -> Extractor:
    context = SimpleNamespace(
        connection_id=1, steps=Steps(), source=SimpleNamespace(limits=Limits(concurrency=concurrency))
    )
    return Extractor(
        cast("Sender", Sending(system)),
        cast("CallContext", context),
        Stream(system, paging, ordered=ordered),
        ahead=ahead,
        now=lambda: START,
    )


def keys(pages: Sequence[Fetched]) -> list[str]:
    return [record.key for page in pages for record in page.page.records]


def everything(system: System) -> list[str]:
    return [str(number) for number in range(system.records)]


def pause() -> None:
    threading.Event().wait(0.001)


def wait_for(event: threading.Event) -> None:
    event.wait(PATIENCE)


class Together:
    """Lets nobody through until so many are here at once."""

    def __init__(self, count: int, beginning: int) -> None:
        self.barrier = threading.Barrier(count)
        self.beginning = beginning

    def __call__(self, place: int, _times: int) -> None:
        if place >= self.beginning:
            self.barrier.wait(PATIENCE)
