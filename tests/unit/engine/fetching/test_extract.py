"""In which order pages come, how many are asked for at once, and what becomes of those that fail."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from servers.systems.paged import (
    CURSOR,
    NUMBER,
    OFFSET,
    PATIENCE,
    START,
    System,
    Together,
    everything,
    extractor,
    keys,
    pause,
    refused,
    wait_for,
)

from worker.connectors.contract import Record, Window
from worker.connectors.paging.paging import Paging
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.extract import Fetched
from worker.engine.fetching.line import DEEP
from worker.engine.planning.plan import Plan
from worker.errors import Draining, RateLimited, Transient


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
