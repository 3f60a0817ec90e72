"""How far a cursor that is a number may go, while records change between the pages of their window."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.engine.planning.test_plan import NOW, NUMBERED, page_of, run_with

from worker.connectors.contract import Page, Record, StreamTraits, Window
from worker.engine.planning.plan import Plan, advance, checkpoint, plan_run
from worker.engine.planning.reach import is_unbounded
from worker.runs.claim import Stored

UNORDERED = replace(NUMBERED, ordered=False, overlap=0.0)
SIZE = 2


@dataclass
class Counter:
    """A source whose records bear the number of their last change, and are listed by their ids."""

    rows: dict[int, int]
    given_out: int
    edits: list[list[int]]
    """Which records change after each answer."""

    def change(self, key: int) -> None:
        self.given_out += 1
        self.rows[key] = self.given_out

    def page(self, window: Window, behind: int) -> Page:
        since = window.since if isinstance(window.since, int) else 0
        there = sorted(key for key in self.rows if key > behind and self.rows[key] >= since)
        shown = [Record(str(key), b"{}", b"", cursor=self.rows[key]) for key in there[:SIZE]]
        following = {"after": there[SIZE - 1]} if len(there) > SIZE else None
        for key in self.edits.pop(0) if self.edits else ():
            self.change(key)
        return Page(shown, next=following)


@dataclass
class Follower:
    """What a stream's cursor and copy would keep, one page at a time: a reading may be ended after any."""

    source: Counter
    stored: Stored = field(default_factory=Stored)
    copy: dict[int, int] = field(default_factory=dict)
    pages: int = 0

    def run(self, most: int = 1000) -> None:
        plan = plan_run(run_with(self.stored), UNORDERED, NOW)
        done = False
        for _ in range(most):
            page = self.source.page(plan.window, plan.position["after"] if plan.position else 0)
            self.copy |= {int(record.key): record.cursor for record in page.records}  # type: ignore[misc]
            self.pages += 1
            plan, done = advance(plan, page, UNORDERED)
            kept = checkpoint(plan, done=done)
            self.stored = Stored(kept.watermark, kept.position, kept.since, kept.until)
            if done:
                return


@given(
    numbers=st.permutations(range(1, 10)),
    edits=st.lists(st.lists(st.integers(1, 12), max_size=3), max_size=25),
    turns=st.lists(st.integers(1, 4), max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_no_change_between_pages_is_lost_whatever_the_order_and_wherever_a_reading_ends(
    numbers: list[int], edits: list[list[int]], turns: list[int]
) -> None:
    source = Counter(dict(zip(range(1, 10), numbers, strict=True)), 9, edits)
    follower = Follower(source)
    for most in turns:
        follower.run(most)
    while source.edits:
        follower.run()
    follower.run()
    follower.run()
    assert follower.copy == source.rows


def test_a_first_load_is_read_twice_and_then_nothing_is() -> None:
    """Where numbers grow with ids, the first page says least of what had been given out."""
    follower = Follower(Counter({key: key for key in range(1, 21)}, 20, []))
    spent = []
    for _ in range(4):
        before, _ = follower.pages, follower.run()
        spent.append(follower.pages - before)
    assert spent == [10, 10, 1, 1]


def test_one_page_is_all_there_was_so_its_greatest_counts() -> None:
    after, done = advance(Plan(Window(7), watermark=7, cap=7), page_of(9, 12, 8), UNORDERED)
    assert done
    assert after.watermark == 12


def test_records_that_are_asked_for_one_by_one_say_nothing_of_when_the_window_began() -> None:
    one_by_one = replace(UNORDERED, details=4)
    first, _ = advance(plan_run(run_with(), one_by_one, NOW), page_of(5, 9), one_by_one)
    kept = checkpoint(first, done=True)
    assert kept.watermark is None
    second = plan_run(run_with(Stored(kept.watermark, None, kept.since, kept.until)), one_by_one, NOW)
    assert second.window == Window()
    assert advance(second, page_of(5, 9), one_by_one)[0].watermark == 9


def test_numbers_in_their_order_move_the_cursor_with_every_page() -> None:
    plan = plan_run(run_with(Stored(7)), NUMBERED, NOW)
    plan, _ = advance(plan, page_of(8, 9, more=True), NUMBERED)
    assert plan.watermark == 9
    plan, done = advance(plan, page_of(30), NUMBERED)
    assert done
    assert plan.watermark == 30


@pytest.mark.parametrize(
    ("traits", "since", "unbounded"),
    [
        (UNORDERED, None, True),
        (UNORDERED, 7, True),
        (replace(UNORDERED, ordered_since=True), 7, False),
        (replace(UNORDERED, ordered_since=True), None, True),
        (NUMBERED, None, False),
        (replace(UNORDERED, timestamps=True), None, False),
        (replace(UNORDERED, token=True), None, False),
        (replace(UNORDERED, incremental=False), None, False),
    ],
)
def test_only_numbers_in_another_order_have_no_bound(
    traits: StreamTraits, since: int | None, *, unbounded: bool
) -> None:
    assert is_unbounded(traits, Window(since)) is unbounded
