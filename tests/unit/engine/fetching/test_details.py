"""Records that come one by one: in order, each once, and no further than the system lets us."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from servers.systems.paged import OFFSET, START, Sending, Stream, System, everything, keys, pause, refused

from worker.connectors.contract import (
    DeleteReason,
    Family,
    Gone,
    Listed,
    Page,
    Position,
    Record,
    Rejected,
    Window,
)
from worker.connectors.paging.counted import ByOffset
from worker.connectors.reading.single import keys_alone
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.details import joined, parted
from worker.engine.fetching.extract import Extractor, Fetched
from worker.engine.planning.plan import Plan
from worker.errors import BadRecord, Draining, HeadraceError, NeedsOperator, RateLimited, Transient
from worker.http.sender import CallContext, Sender
from worker.limits.policy import Limits
from worker.telemetry.steps import Steps


@dataclass
class Tickets(System):
    """Lists keys, and shows each ticket for itself, as a test says."""

    ones: Callable[[int, int], None] = lambda _key, _times: None
    """May wait or raise, told which is asked for and how often it was before."""
    gone: frozenset[str] = frozenset()
    asked_for: Counter[str] = field(default_factory=Counter)
    most_ones: int = 0
    _ones: int = 0

    def one(self, key: str) -> None:
        with self._lock:
            times = self.asked_for[key]
            self.asked_for[key] += 1
            self._ones += 1
            self.most_ones = max(self.most_ones, self._ones)
        try:
            self.ones(int(key), times)
        finally:
            with self._lock:
                self._ones -= 1


class ListOfKeys(Stream):
    """Its stream."""

    system: Tickets

    def __init__(self, system: Tickets, paging: ByOffset, *, at_once: int = 3) -> None:
        super().__init__(system, paging)
        self.traits = replace(self.traits, details=at_once)

    def read(self, response: Any, window: Window, position: Position | None) -> Page:
        assert "done" not in (position or {})
        page = super().read(response, window, position)
        page.rejected = [Rejected(b"null", "not_an_object", "odd")]
        return keys_alone(page)

    def single(self, key: str) -> Any:
        if key == "13":
            raise BadRecord("bad_key", "unlucky")
        return key

    def read_single(self, response: Any, key: str) -> Page:
        if key in self.system.gone:
            return Page([], gone=[Gone(key, "not_found")])
        return Page([Record(key, response.body, b"")])


class ListOfParents(ListOfKeys):
    """Below each of its keys there is an empty list, as far as that key is there."""

    name = "lines"

    def read(self, response: Any, window: Window, position: Position | None) -> Page:
        page = super().read(response, window, position)
        assert page.listed is not None
        page.listed = replace(page.listed, several=True, below=self)
        return page

    def read_single(self, response: Any, key: str) -> Page:
        reason: DeleteReason = "not_found" if key in self.system.gone else "delta"
        return Page([], listed=Listed((), True, [Family(f"[{key},", reason)], reached=START))


class Sends(Sending):
    system: Tickets

    def send(self, context: CallContext, request: Any, comes: Callable[[int], None]) -> Any:
        if not isinstance(request, str):
            return super().send(context, request, comes)
        self.system.one(request)
        comes(9)
        return SimpleNamespace(body=b'{"id": 1}', headers={})


def read(
    tickets: Tickets,
    ahead: Ahead,
    *,
    plan: Plan | None = None,
    at_once: int = 3,
    allowed: int | None = None,
    kind: type[ListOfKeys] = ListOfKeys,
) -> list[Fetched]:
    """What comes before an error, which is kept."""
    context = SimpleNamespace(
        connection_id=1, steps=Steps(), source=SimpleNamespace(limits=Limits(concurrency=allowed))
    )
    stream = kind(tickets, OFFSET, at_once=at_once)
    extractor = Extractor(
        cast("Sender", Sends(tickets)), cast("CallContext", context), stream, ahead=ahead, now=lambda: START
    )
    found: list[Fetched] = []
    try:
        found.extend(extractor.pages(plan or Plan(Window())))
    except HeadraceError as exc:
        error.append(exc)
    return found


error: list[HeadraceError] = []


@pytest.fixture(autouse=True)
def _no_error() -> None:
    error.clear()


def aside(pages: list[Fetched]) -> dict[str, str]:
    return {bad.key: bad.code for page in pages for bad in page.page.rejected if bad.key is not None}


@pytest.mark.parametrize("records", [0, 1, 12, 40])
def test_every_record_is_asked_for_once_and_comes_in_its_place(ahead: Ahead, records: int) -> None:
    tickets = Tickets(records)
    pages = read(tickets, ahead)
    assert keys(pages) == [key for key in everything(tickets) if key != "13"]
    assert set(tickets.asked_for.values()) <= {1}
    assert aside(pages) == ({"13": "bad_key"} if records > 13 else {})
    assert not any(page.page.listed and page.page.listed.pending for page in pages)


def test_no_more_are_asked_for_at_a_time_than_the_manifest_and_the_account_allow(ahead: Ahead) -> None:
    for at_once, allowed, most in ((3, None, 3), (5, 2, 2), (1, None, 1)):
        tickets = Tickets(40, ones=lambda _key, _times: pause())
        read(tickets, ahead, at_once=at_once, allowed=allowed)
        assert tickets.most_ones <= most


def test_a_few_come_side_by_side(ahead: Ahead) -> None:
    together = threading.Barrier(3)

    def wait(_key: int, _times: int) -> None:
        together.wait(10)

    read(Tickets(9, ones=wait), ahead)
    assert error == []


@pytest.mark.parametrize(
    "stop", [refused(), Draining("the worker stops"), NeedsOperator("unauthorised", "no")]
)
def test_what_came_before_a_refusal_is_kept_and_not_asked_for_again(
    ahead: Ahead, stop: HeadraceError
) -> None:
    tickets = Tickets(40)

    def until(key: int, _times: int) -> None:
        if key >= 17:
            raise stop

    tickets.ones = until
    pages = read(tickets, ahead)
    assert error == [stop]
    assert keys(pages) == [str(n) for n in range(17) if n != 13]
    plan = pages[-1].plan
    assert plan.position is not None
    assert parted(plan.position)[0] == {"offset": 10}
    tickets.ones = lambda _key, _times: None
    tickets.asked_for.clear()
    more = read(tickets, ahead, plan=plan)  # as another worker would, with what was committed
    assert keys(more) == [str(n) for n in range(17, 40)]
    assert set(tickets.asked_for.values()) == {1}
    assert [len(page.page.rejected) for page in more] == [0, 1, 1, 1], (
        "set aside with the first part of the page"
    )
    assert more[-1].plan.position is None


def test_a_refusal_of_the_very_first_leaves_the_place_as_it_was(ahead: Ahead) -> None:
    def no(_key: int, _times: int) -> None:
        raise refused()

    assert read(Tickets(40, ones=no), ahead) == []
    assert isinstance(error[0], RateLimited)


@pytest.mark.parametrize("code", ["request_refused", "page_too_large"])
def test_a_record_that_the_system_refuses_to_show_is_set_aside(ahead: Ahead, code: str) -> None:
    def one(key: int, _times: int) -> None:
        if key == 5:
            raise NeedsOperator(code, "not this one")

    pages = read(Tickets(12, ones=one), ahead)
    assert keys(pages) == [str(n) for n in range(12) if n != 5]
    assert aside(pages) == {"5": code}


def test_one_that_breaks_beside_others_is_tried_again_and_then_set_aside(ahead: Ahead) -> None:
    def one(key: int, times: int) -> None:
        if key == 3 or (key == 5 and times == 0):
            raise Transient("system_error", "broken")

    tickets = Tickets(12, ones=one)
    pages = read(tickets, ahead)
    assert keys(pages) == [str(n) for n in range(12) if n != 3]
    assert aside(pages) == {"3": "system_error"}
    assert tickets.asked_for["3"] == 2


@pytest.mark.parametrize("bad", [9, 11])
def test_the_last_of_a_page_that_breaks_alone_stops_nothing(ahead: Ahead, bad: int) -> None:
    def one(key: int, _times: int) -> None:
        if key == bad:
            raise Transient("system_error", "broken")

    tickets = Tickets(12, ones=one)
    pages = read(tickets, ahead)
    assert keys(pages) == [str(n) for n in range(12) if n != bad]
    assert (aside(pages), error) == ({str(bad): "system_error"}, [])


def test_a_part_of_a_page_that_is_nothing_but_broken_goes_by_what_came_before(ahead: Ahead) -> None:
    def one(key: int, _times: int) -> None:
        if key == 9:
            raise Transient("system_error", "broken")

    plan = Plan(Window(), position=joined(None, frozenset(map(str, range(9)))))
    tickets = Tickets(10, ones=one)
    assert aside(read(tickets, ahead, plan=plan)) == {"9": "system_error"}
    error.clear()
    alone = Plan(Window(), position=None)
    only = Tickets(1, ones=lambda _key, _times: one(9, 0))
    assert read(only, ahead, plan=alone) == []
    assert [type(exc) for exc in error] == [Transient], "of one that is alone nobody can tell"


def test_a_system_that_goes_away_stops_the_run_and_sets_nothing_aside(ahead: Ahead) -> None:
    for begin in (0, 4, 9):
        is_away = threading.Event()

        def away(key: int, _times: int, begin: int = begin, is_away: threading.Event = is_away) -> None:
            if key >= begin:
                is_away.set()
            if is_away.is_set():
                raise Transient("unreachable", "away")

        error.clear()
        tickets = Tickets(10, ones=away)
        pages = read(tickets, ahead, at_once=1)
        assert keys(pages) == [str(n) for n in range(begin)]
        assert (aside(pages), [type(exc) for exc in error]) == ({}, [Transient])


def test_who_is_not_there_is_named(ahead: Ahead) -> None:
    pages = read(Tickets(12, gone=frozenset({"3", "11"})), ahead)
    assert [page.page.listed.absent for page in pages if page.page.listed] == [["3"], ["11"]]
    assert all(page.page.gone == [] for page in pages), "whether that is believed is another's to say"


def test_a_parent_without_children_shows_that_the_system_is_there_and_one_that_breaks_has_no_key(
    ahead: Ahead,
) -> None:
    def one(key: int, _times: int) -> None:
        if key == 9:
            raise Transient("system_error", "broken")

    pages = read(Tickets(12, ones=one, gone=frozenset({"3"})), ahead, kind=ListOfParents)
    assert (error, keys(pages), aside(pages)) == ([], [], {})
    assert [bad.raw for bad in pages[0].page.rejected] == [b"null", b'"9"']
    listed = [page.page.listed for page in pages if page.page.listed]
    stems = {family.stem: family.reason for each in listed for family in each.families}
    assert stems == {f"[{n},": "not_found" if n == 3 else "delta" for n in range(12) if n != 9}
    assert [each.reached for each in listed] == [START, START]


def test_a_system_that_finds_none_of_the_parents_is_not_there(ahead: Ahead) -> None:
    def one(key: int, _times: int) -> None:
        if key == 2:
            raise Transient("system_error", "broken")

    pages = read(Tickets(3, ones=one, gone=frozenset({"0", "1"})), ahead, kind=ListOfParents)
    assert [page.page.found for page in pages] == [False]
    assert [type(exc) for exc in error] == [Transient]


def test_after_some_seconds_what_has_come_is_handed_out(
    ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.fetching.details.SECONDS", -1.0)
    tickets = Tickets(12)
    pages = read(tickets, ahead, at_once=1)
    assert keys(pages) == everything(tickets)
    assert len(pages) == 12
    assert sorted(tickets.asked) == [0, 10], "the list is read once for all parts of a page"


def test_a_run_whose_threads_are_all_taken_asks_by_itself(alone: Ahead) -> None:
    tickets = Tickets(12)
    assert keys(read(tickets, alone)) == everything(tickets)
    assert tickets.most_ones == 1


def test_a_place_keeps_what_is_done() -> None:
    for place in (None, {"offset": 10}):
        for done in (frozenset[str](), frozenset({"a", "b"})):
            assert parted(joined(place, done)) == (place, done)
