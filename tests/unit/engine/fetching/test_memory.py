"""Pages in memory are counted: small ones pass, large ones wait for each other, and none waits for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.fetching.memory import SMALL, PageMemory, Room
from worker.errors import RateLimited

BUDGET = 100 * SMALL
NOW = datetime(2026, 11, 24, tzinfo=UTC)
LONG = 20.0


def gate(patience: float = LONG) -> PageMemory:
    return PageMemory(BUDGET, patience=patience, clock=lambda: NOW)


def nothing() -> None:
    """A run that holds nothing ahead of its turn."""


def due(memory: PageMemory, size: int, give_way: Callable[[], None] = nothing) -> Room:
    return memory.room(size, give_way=give_way)


def test_small_pages_pass_uncounted_however_full_it_is() -> None:
    memory = gate()
    due(memory, BUDGET)
    for _ in range(1000):
        due(memory, SMALL)
        assert memory.room_ahead(SMALL) is not None
    assert memory.taken == BUDGET


def test_a_page_that_is_due_waits_until_another_is_loaded() -> None:
    memory = gate()
    first = due(memory, 60 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(due, memory, 60 * SMALL)
        assert waits(second)
        first.release()
        assert second.result(LONG).size == 60 * SMALL
    assert memory.taken == 60 * SMALL


def test_a_page_ahead_of_its_turn_never_waits() -> None:
    memory = gate()
    due(memory, 60 * SMALL)
    assert memory.room_ahead(60 * SMALL) is None
    room = memory.room_ahead(0)
    assert room is not None
    with pytest.raises(RateLimited):
        room.grow(60 * SMALL)
    assert memory.taken == 60 * SMALL


def test_who_waits_gives_up_first_what_its_own_run_holds() -> None:
    memory = gate()
    ahead = memory.room_ahead(60 * SMALL)
    assert ahead is not None
    assert due(memory, 60 * SMALL, ahead.release).size == 60 * SMALL


def test_a_page_larger_than_all_of_it_passes_alone() -> None:
    memory = gate()
    other = due(memory, 2 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        giant = pool.submit(due, memory, 3 * BUDGET)
        assert waits(giant)
        other.release()
        giant.result(LONG).release()
    assert memory.taken == 0


def test_the_larger_page_that_waits_is_not_overtaken_for_ever() -> None:
    memory = gate()
    first = due(memory, 60 * SMALL)
    with ThreadPoolExecutor(2) as pool:
        giant = pool.submit(due, memory, 100 * SMALL)
        assert waits(giant)
        smaller = pool.submit(due, memory, 30 * SMALL)
        assert waits(smaller)
        first.release()
        giant.result(LONG).release()
        smaller.result(LONG)


def test_two_pages_that_are_half_here_do_not_wait_for_each_other_for_ever() -> None:
    memory = gate()
    one, other = due(memory, 50 * SMALL), due(memory, 50 * SMALL)
    one.grow(90 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        growing = pool.submit(other.grow, 90 * SMALL)
        assert waits(growing)
        one.release()
        growing.result(LONG)
    assert memory.taken == 90 * SMALL


def test_who_waits_too_long_comes_again_later() -> None:
    memory = gate(patience=0.01)
    due(memory, BUDGET)
    with pytest.raises(RateLimited) as caught:
        due(memory, 2 * SMALL)
    assert caught.value.code == "no_room"
    assert caught.value.resume_at > NOW


def test_a_page_smaller_than_expected_gives_the_rest_back() -> None:
    memory = gate()
    room = due(memory, 50 * SMALL)
    room.settle(7)
    assert memory.taken == 7
    room.release()
    room.release()
    assert memory.taken == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 250), min_size=1, max_size=4), min_size=1, max_size=12))
def test_any_pages_come_through_and_never_more_than_the_budget_and_one_page(pages: list[list[int]]) -> None:
    """Each page grows in steps, as a body of unknown length does; four at a time, as runs do."""
    memory, most, lock = gate(), [0], threading.Lock()
    largest = max(max(steps) for steps in pages) * SMALL

    def read(steps: list[int]) -> None:
        room = due(memory, 0)
        try:
            for size in sorted(steps):
                room.grow(size * SMALL)
                with lock:
                    most[0] = max(most[0], memory.taken)
        finally:
            room.release()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(read, steps) for steps in pages]:
            done.result(LONG)
    assert memory.taken == 0
    assert most[0] <= BUDGET + largest


def waits(future: "Future[Room] | Future[None]") -> bool:
    """It hasn't ended after all that doesn't wait would have."""
    threading.Event().wait(0.05)
    return not future.done()


def test_what_others_freed_goes_back_to_the_system_once_there_is_room_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = gate()
    first = due(memory, 60 * SMALL)
    held: list[int] = []
    monkeypatch.setattr("worker.engine.fetching.memory._malloc_trim", lambda _keep: held.append(first.size))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(due, memory, 60 * SMALL)
        assert waits(second)
        first.release()
        second.result(LONG)
    assert held == [0]
