"""Pages that shift while they are read: whatever is deleted, moved or put in meanwhile, what stayed as it was is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.connectors.contract import (
    Gone,
    Page,
    Position,
    Record,
    Rejected,
    Response,
    StreamTraits,
    Window,
)
from worker.connectors.paging.counted import ByNumber, ByNumberAndSize, ByOffset
from worker.connectors.paging.paging import Paging
from worker.connectors.reading.reader import Seen
from worker.engine.planning.plan import Plan, advance, is_neighbour, turn_back
from worker.engine.planning.seams import MOST_TURNS_BACK, goes_on, marks_of, without_marked

ANSWER = Response(200, {}, b"", "https://erp.example.com/api/parts")
PAGINGS = [ByOffset("offset", "limit", 7), ByNumberAndSize("page", "limit", 20)]


def record(key: int, version: int = 0) -> Record:
    return Record(str(key), b"{}", b"%16d" % version, version=version)


@dataclass
class Shelf:
    """A list that changes between two looks at it."""

    items: list[Record]
    next_key: int
    dice: Random
    newest_first: bool = False
    touched: set[str] = field(default_factory=set)
    """What was changed or deleted since the reading began, or came new: a later run finds it by its cursor."""

    @classmethod
    def of(cls, count: int, dice: Random, *, newest_first: bool = False) -> "Shelf":
        return cls([record(key) for key in range(count)], count, dice, newest_first)

    def live(self, steps: int) -> None:
        for _ in range(steps):
            kind = self.dice.choice(["delete", "edit", "insert"])
            if kind == "insert" or not self.items:
                self._put(record(self.next_key))
                self.next_key += 1
                continue
            one = self.items.pop(self.dice.randrange(len(self.items)))
            self.touched.add(one.key)
            if kind == "edit":
                self._put(record(int(one.key), (one.version or 0) + 1))

    def _put(self, one: Record) -> None:
        self.touched.add(one.key)
        self.items.insert(0 if self.newest_first else len(self.items), one)

    def page(self, paging: Paging, position: Position | None, *, total: bool) -> Page:
        asked = {name: int(value) for name, value in paging.params(position)}
        begin = asked["offset"] if "offset" in asked else (asked["page"] - 1) * asked["limit"]
        found = self.items[begin : begin + asked["limit"]]
        count = len(self.items) if total else None
        following = paging.following(position, Seen(len(found), total=count), ANSWER)
        return Page(list(found), next=following, total=count)


def read(shelf: Shelf, paging: Paging, *, steps: int, total: bool = False) -> Iterator[Page]:
    """Every page, as the extractor takes them."""
    traits = StreamTraits(incremental=False, ordered=False, timestamps=True, seam=paging.seam)
    plan, done = Plan(Window()), False
    while not done:
        page = shelf.page(paging, plan.position, total=total)
        shelf.live(shelf.dice.randint(0, steps))
        if not is_neighbour(plan, page, traits) and (place := paging.back(plan.position)) is not None:
            plan = turn_back(plan, page, place)
            assert plan.turns_back < 5000
            yield page
            continue
        after, done = advance(plan, page, traits)
        yield without_marked(page, plan.marks)
        plan = after


@given(
    seed=st.integers(0, 10**6),
    paging=st.sampled_from(PAGINGS),
    count=st.integers(0, 120),
    steps=st.integers(0, 4),
    newest_first=st.booleans(),
    total=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_what_stayed_as_it_was_is_read_whatever_moves_around_it(
    seed: int, paging: Paging, count: int, steps: int, newest_first: bool, total: bool
) -> None:
    shelf = Shelf.of(count, Random(seed), newest_first=newest_first)
    seen = {one.key for page in read(shelf, paging, steps=steps, total=total) for one in page.records}
    missing = {str(key) for key in range(count)} - seen - shelf.touched
    assert not missing


@pytest.mark.parametrize("paging", PAGINGS)
def test_a_list_that_stays_costs_a_record_or_so_a_page_and_gives_each_once(paging: Paging) -> None:
    shelf = Shelf.of(2000, Random(1))
    pages = list(read(shelf, paging, steps=0))
    found = [one.key for page in pages for one in page.records]
    assert list(dict.fromkeys(found)) == [str(key) for key in range(2000)]
    size, twice = (7, 0) if isinstance(paging, ByOffset) else (20, 40)
    assert len(found) <= 2000 + twice
    assert len(pages) <= 2000 / (size * 0.7)


@given(most=st.integers(20, 400), pages=st.integers(1, 60))
def test_numbered_pages_of_changing_size_always_overlap_and_always_advance(most: int, pages: int) -> None:
    paging = ByNumberAndSize("page", "limit", most, first=0)
    position: Position | None = None
    at = 0
    for _ in range(pages):
        asked = {name: int(value) for name, value in paging.params(position)}
        begin = asked["page"] * asked["limit"]
        assert begin < max(at, 1) < begin + asked["limit"]
        assert asked["limit"] <= most
        position = paging.following(position, Seen(asked["limit"]), ANSWER)
        assert position is not None
        at = position["offset"]


@given(st.integers(0, 2000), st.integers(0, 9), st.sampled_from(PAGINGS))
def test_overlapping_pages_are_named_as_they_would_have_come(records: int, most: int, paging: Paging) -> None:
    shelf = Shelf.of(records, Random(0))
    places: list[Position | None] = [None]
    while (page := shelf.page(paging, places[-1], total=True)).next is not None:
        places.append(page.next)
    for number, here in enumerate(places[:-1]):
        following = places[number + 1]
        assert following is not None
        expected = places[number + 2 : number + 2 + most]
        named = list(paging.onward(here, following, records, most))
        assert named == expected[: len(named)]
        assert len(named) >= len(expected) - 1, "too few are asked for at once"


def test_a_record_that_only_moved_is_no_mark() -> None:
    """It was edited, so it lies elsewhere now, and says nothing about what lay behind it."""
    before = Page([record(1), record(2)])
    assert goes_on("record", Page([record(2)]), marks_of(before, ()), None)
    assert not goes_on("record", Page([record(2, version=1)]), marks_of(before, ()), None)
    assert not goes_on("record", Page([record(3)]), marks_of(before, ()), None)
    assert not goes_on("record", Page([]), marks_of(before, ()), None)


def test_a_deleted_mark_is_made_up_for_by_the_one_before_it() -> None:
    before = Page([record(key) for key in range(10)])
    assert goes_on("record", Page([record(7), record(10)]), marks_of(before, ()), None)


def test_what_cannot_be_taken_or_is_gone_holds_pages_together_like_any_record() -> None:
    bad, gone = Rejected(b"{}", "no_key", "It has none."), Gone("7", "tombstone")
    for last in (Page([record(1)], rejected=[bad]), Page([record(1)], gone=[gone])):
        marks = marks_of(last, ())
        following = Page([record(2)], rejected=last.rejected, gone=last.gone)
        assert goes_on("record", following, marks, None)
        assert not goes_on("record", Page([record(2)]), marks, None)


def test_pages_that_cannot_overlap_go_by_their_total() -> None:
    numbered = ByNumber("page", None, 10)
    assert numbered.seam == "total"
    assert not goes_on("total", Page([], total=9), (), 10)
    assert goes_on("total", Page([], total=10), (), 10)
    assert goes_on("total", Page([]), (), 10)
    assert numbered.back({"page": 3, "so_far": 20, "size": 10}) == {"page": 2, "so_far": 10, "size": 10}
    assert numbered.back({"page": 1, "so_far": 0, "size": 10}) is None


@given(seed=st.integers(0, 10**6), count=st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_deletes_are_noticed_by_the_total_where_pages_cannot_overlap(seed: int, count: int) -> None:
    dice = Random(seed)
    shelf = Shelf.of(count, dice)
    deleted: list[str] = []

    def delete(_steps: int) -> None:
        if shelf.items and dice.random() < 0.3:
            deleted.append(shelf.items.pop(dice.randrange(len(shelf.items))).key)

    shelf.live = delete  # type: ignore[method-assign, assignment]
    paging = ByNumber("page", "limit", 10)
    seen = {one.key for page in read(shelf, paging, steps=0, total=True) for one in page.records}
    assert {str(key) for key in range(count)} - seen - set(deleted) == set()


def test_going_back_ends_at_the_beginning() -> None:
    position: Position | None = {"offset": 10_000}
    steps = 0
    while position is not None:
        position = ByOffset("offset", "limit", 10).back(position)
        steps += 1
    assert steps < MOST_TURNS_BACK / 2


@pytest.mark.parametrize(
    "paging", [ByOffset("offset", "limit", 10, stable=True), ByNumber("page", "limit", 10, stable=True)]
)
def test_nothing_is_paid_where_the_order_is_stable(paging: Paging) -> None:
    assert paging.seam == "none"
    shelf = Shelf.of(95, Random(0))
    assert [len(page.records) for page in read(shelf, paging, steps=0)] == [10] * 9 + [5]
