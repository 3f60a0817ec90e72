"""In which order pages come, how many are asked for at once, and what becomes of those that fail."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.connectors.contract import Page, Position, Record, StreamTraits, Window
from worker.connectors.reading.paging import ByCursor, ByNumber, ByOffset, Paging, Seen
from worker.engine.extract import Extractor, Fetched
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.line import DEEP
from worker.engine.plan import Plan
from worker.errors import Draining, NeedsOperator, RateLimited, Transient
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
        self.traits = StreamTraits(incremental=True, ordered=ordered, timestamps=True)

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


OFFSET = ByOffset("offset", "limit", 10)
NUMBER = ByNumber("page", "limit", 10)
CURSOR = ByCursor("cursor", ("next",), "limit", 10)


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    shared = Ahead(2, side_by_side=8)
    yield shared
    shared.close()


@pytest.fixture
def alone() -> Iterator[Ahead]:
    shared = Ahead(1, side_by_side=1)
    yield shared
    shared.close()


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


@pytest.mark.parametrize("paging", [OFFSET, NUMBER, CURSOR])
@pytest.mark.parametrize("knows_total", [True, False])
@pytest.mark.parametrize("records", [0, 9, 10, 11, 95, 100, 400])
def test_every_page_comes_once_and_in_order(
    ahead: Ahead, paging: Paging, knows_total: bool, records: int
) -> None:
    system = System(records, knows_total)
    pages = list(extractor(system, paging, ahead).pages(Plan(Window())))
    assert keys(pages) == everything(system)
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
    assert pages[-1].plan.position is None


@pytest.mark.parametrize("paging", [OFFSET, NUMBER])
def test_pages_whose_places_are_known_are_asked_for_at_once(ahead: Ahead, paging: Paging) -> None:
    """Pages two to nine are answered only once all eight of them were asked for."""
    system = System(90, knows_total=True, lets=Together(8, beginning=10))
    system.lets = lambda place, times, wait=system.lets: wait(place, times) if place < 90 else None  # type: ignore[misc]
    pages = list(extractor(system, paging, ahead).pages(Plan(Window())))
    assert keys(pages) == everything(system)
    assert system.most_at_once == 8


def test_without_a_total_never_more_is_asked_for_beyond_the_end_than_was_read_before_it(ahead: Ahead) -> None:
    for count in range(1, 30):
        system = System(count * 10 - 5)
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
        beyond = [place for place in system.asked if place >= system.records]
        assert len(beyond) <= min(count, 16)
        assert sorted(set(system.asked)) == sorted(system.asked), "a page was asked for twice"


def test_with_a_total_nothing_is_asked_for_beyond_the_end(ahead: Ahead) -> None:
    system = System(195, knows_total=True)
    list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert sorted(system.asked) == list(range(0, 195, 10))


@pytest.mark.parametrize("allowed", [1, 3])
def test_never_more_at_once_than_the_account_may_have(ahead: Ahead, allowed: int) -> None:
    system = System(300, knows_total=True, lets=lambda _place, _times: pause())
    list(extractor(system, OFFSET, ahead, concurrency=allowed).pages(Plan(Window())))
    assert system.most_at_once <= allowed


def test_an_error_is_raised_when_the_turn_of_its_page_comes_and_not_before(ahead: Ahead) -> None:
    def broken(place: int, _times: int) -> None:
        if place == 50:
            raise Transient("system_error", "broken")

    system = System(200, knows_total=True, lets=broken)
    pages: list[Fetched] = []
    with pytest.raises(Transient):
        pages.extend(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert keys(pages) == [str(number) for number in range(50)]
    assert system.asked.count(50) <= 2, "it was asked for again and again"


def test_a_page_that_fails_beside_others_is_asked_for_again_and_they_are_kept(ahead: Ahead) -> None:
    system = System(200, knows_total=True)

    def once(place: int, times: int) -> None:
        pause()
        if place in {30, 60} and times == 0 and system._at_once > 1:
            raise refused()

    system.lets = once
    pages = list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert keys(pages) == everything(system)
    again = {place for place in system.asked if system.asked.count(place) > 1}
    assert again <= {30, 60}, "what was not refused was asked for again"


@pytest.mark.parametrize("paging", [OFFSET, CURSOR])
def test_only_a_page_that_is_refused_when_it_is_due_makes_the_run_wait(ahead: Ahead, paging: Paging) -> None:
    def never(place: int, _times: int) -> None:
        if place >= 40:
            raise refused()

    system = System(200, knows_total=True, lets=never)
    pages: list[Fetched] = []
    with pytest.raises(RateLimited):
        pages.extend(extractor(system, paging, ahead).pages(Plan(Window())))
    assert keys(pages) == [str(number) for number in range(40)]
    assert pages[-1].plan.position is not None


def test_a_refusal_makes_the_line_narrower(ahead: Ahead) -> None:
    wide, narrow = System(3000, knows_total=True), System(3000, knows_total=True)

    def crowded(system: System) -> Callable[[int, int], None]:
        def lets(place: int, _times: int) -> None:
            pause()
            if system._at_once > 3:
                raise refused()

        return lets

    narrow.lets = crowded(narrow)
    wide.lets = lambda _place, _times: pause()
    for system in (wide, narrow):
        pages = list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
        assert keys(pages) == everything(system)
    assert len(wide.asked) == 301
    assert len(narrow.asked) < 301 * 1.3, "it went on asking for what was refused"


def test_places_that_were_guessed_wrong_are_dropped_and_nothing_more_is_guessed(ahead: Ahead) -> None:
    """From the third page on the system sends fewer than it is asked for."""
    system = System(100, knows_total=True)
    whole = system.answer

    def short(start: int, size: int) -> tuple[list[Record], int]:
        found, _ = whole(start, size)
        kept = found if start < 20 else found[:7]
        return kept, len(kept)

    system.answer = short  # type: ignore[method-assign]
    pages = list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert keys(pages) == everything(system)
    assert len(system.asked) - len(pages) <= 16


def test_an_ordered_stream_stops_at_the_bound_of_its_window(ahead: Ahead) -> None:
    for paging in (OFFSET, CURSOR):
        system = System(1000)
        window = Window(None, START + timedelta(seconds=34))
        pages = list(extractor(system, paging, ahead, ordered=True).pages(Plan(window)))
        assert len(pages) == 4
        assert pages[-1].done
        assert pages[-1].plan.watermark == window.until
        assert len(system.asked) <= 4 + 4


def test_where_pages_lead_to_each_other_a_few_are_read_ahead_and_no_more(ahead: Ahead) -> None:
    system = System(1000)
    reading = extractor(system, CURSOR, ahead).pages(Plan(Window()))
    next(reading)
    settled(system, 1 + DEEP)
    next(reading)
    settled(system, 2 + DEEP)
    reading.close()
    assert keys(list(extractor(system, CURSOR, ahead).pages(Plan(Window())))) == everything(system)


def settled(system: System, count: int) -> None:
    """So many pages were asked for, and no more come."""
    ends = threading.Event()
    for _ in range(PATIENCE * 1000):
        if len(system.asked) >= count:
            break
        ends.wait(0.001)
    ends.wait(0.02)
    assert len(system.asked) == count


def test_the_first_page_costs_no_thread_where_it_is_the_last() -> None:
    class Threadless(Ahead):
        def start(self, work: Callable[[], None]) -> bool:
            raise AssertionError("a thread")

    shared = Threadless(1)
    system = System(5)
    callers = set()
    system.lets = lambda _place, _times: callers.add(threading.get_ident())
    assert len(list(extractor(system, OFFSET, shared).pages(Plan(Window())))) == 1
    assert callers == {threading.get_ident()}
    shared.close()


def test_a_run_whose_threads_are_all_taken_reads_its_pages_itself(alone: Ahead) -> None:
    hold = threading.Event()
    for _ in range(3):
        alone.start(lambda: wait_for(hold))
    system = System(95, knows_total=True)
    pages = list(extractor(system, OFFSET, alone).pages(Plan(Window())))
    hold.set()
    assert keys(pages) == everything(system)


def test_a_process_that_ends_reads_no_more_ahead(ahead: Ahead) -> None:
    system = System(200, knows_total=True)
    reading = extractor(system, OFFSET, ahead).pages(Plan(Window()))
    next(reading)
    ahead.close()

    def no(_place: int, _times: int) -> None:
        raise Draining("This worker is shutting down.")

    system.lets = no
    with pytest.raises(Draining):
        list(reading)


def test_a_page_is_as_old_as_its_request_and_not_as_its_answer(ahead: Ahead) -> None:
    clock = [START]
    system = System(15)
    reading = extractor(system, CURSOR, ahead)
    reading._now = lambda: clock[0]

    def minute(_place: int, _times: int) -> None:
        clock[0] += timedelta(minutes=1)

    system.lets = minute
    pages = list(reading.pages(Plan(Window())))
    assert [page.observed_at for page in pages] == [START, START + timedelta(minutes=1)]


@pytest.mark.parametrize("code", ["page_too_large", "timeout"])
@pytest.mark.parametrize("paging", [OFFSET, CURSOR, NUMBER])
def test_pages_that_are_too_much_are_asked_for_smaller_and_nothing_is_missed(
    ahead: Ahead, paging: Paging, code: str
) -> None:
    system = System(400, knows_total=True)

    whole = system.answer

    def answer(start: int, size: int) -> tuple[list[Record], int]:
        if start + size > 100 and size > 5:
            system.asked.append(start)
            raise (
                NeedsOperator(code, "too large") if code == "page_too_large" else Transient(code, "too slow")
            )
        return whole(start, size)

    system.answer = answer  # type: ignore[method-assign]
    reading = extractor(system, paging, ahead)
    pages = list(reading.pages(Plan(Window())))
    assert set(keys(pages)) == set(everything(system))
    assert keys(pages)[-400:] == everything(system)
    entry = next(step for step in reading._context.steps.as_json() if step["name"] == "page_size")
    assert entry["divisor"] == 2
    assert ahead.sizes.of(1, "parts").divisor == 2


def test_a_page_of_one_record_that_is_still_too_large_is_the_runs_error(ahead: Ahead) -> None:
    def no(_place: int, _times: int) -> None:
        raise NeedsOperator("page_too_large", "too large")

    system = System(400, lets=no)
    with pytest.raises(NeedsOperator):
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert system.sizes == [10, 5, 2, 1]


def test_a_system_that_is_away_is_not_waited_for_at_every_size(ahead: Ahead) -> None:
    def no(_place: int, _times: int) -> None:
        raise Transient("timeout", "too slow")

    system = System(400, lets=no)
    with pytest.raises(Transient):
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert system.sizes == [10, 5]
    with pytest.raises(Transient):
        list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert system.sizes == [10, 5, 2, 1], "what was learned is forgotten"


def test_a_numbered_window_that_goes_on_keeps_the_size_it_was_begun_with(ahead: Ahead) -> None:
    ahead.sizes.keep(1, "parts", ahead.sizes.of(1, "parts"))
    ahead.sizes.of(1, "parts").shrank(2)
    system = System(100, knows_total=True)
    list(extractor(system, NUMBER, ahead).pages(Plan(Window(), {"page": 3, "so_far": 20, "size": 10})))
    assert set(system.sizes) == {10}
    assert min(system.asked) == 20
    system.sizes.clear()
    list(extractor(system, NUMBER, ahead).pages(Plan(Window())))
    assert set(system.sizes) == {5}


def test_after_many_good_pages_they_are_asked_for_larger_again(ahead: Ahead) -> None:
    size = ahead.sizes.of(1, "parts")
    ahead.sizes.keep(1, "parts", size)
    size.shrank(2)
    system = System(1000, knows_total=True)
    pages = list(extractor(system, OFFSET, ahead).pages(Plan(Window())))
    assert keys(pages) == everything(system)
    assert system.sizes[0] == 5
    assert system.sizes[-1] == 10
    assert size.divisor == 1
