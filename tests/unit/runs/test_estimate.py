"""How long until a queued run begins?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.runs.estimate import Estimate, Place, estimate

FIRST = Place(
    outstanding=0,
    earlier=0,
    waiting=0,
    connections=0,
    slots=4,
    running=0,
    typical=2.0,
    wait=0.0,
    published=True,
    account="demo:connection:1",
)
counts = st.integers(0, 1000)


def test_where_a_slot_is_free_it_begins_at_once() -> None:
    assert estimate(FIRST) == Estimate(0, 0.0)
    assert estimate(replace(FIRST, outstanding=3)) == Estimate(3, 0.0)


def test_what_stands_before_it_is_worked_off_by_all_slots() -> None:
    assert estimate(replace(FIRST, outstanding=39, running=4)) == Estimate(39, 20.0)


def test_nobody_who_serves_its_queue_is_no_time_at_all() -> None:
    assert estimate(replace(FIRST, slots=0, outstanding=5)) == Estimate(5, None)


def test_connections_that_take_turns_let_a_small_one_through() -> None:
    """Five thousand runs of another connection wait; ours is the first of its own."""
    crowded = replace(FIRST, published=False, waiting=1000, connections=2, outstanding=10)
    assert estimate(crowded).ahead == 11
    assert estimate(replace(crowded, earlier=20)).ahead == 51


@pytest.mark.parametrize(("wait", "seconds"), [(90.0, 90.0), (0.0, 30.0)])
def test_a_limit_and_a_wait_count_where_they_are_longer(wait: float, seconds: float) -> None:
    assert estimate(replace(FIRST, wait=wait), limit=30.0).seconds == seconds


@given(counts, counts, counts, st.integers(1, 50), st.integers(0, 60), st.booleans())
def test_more_before_it_never_makes_it_sooner(
    outstanding: int, earlier: int, waiting: int, slots: int, running: int, published: bool
) -> None:
    place = replace(
        FIRST,
        outstanding=outstanding,
        earlier=earlier,
        waiting=max(waiting, earlier),
        connections=3,
        slots=slots,
        running=running,
        published=published,
    )
    now, later = estimate(place), estimate(replace(place, outstanding=outstanding + 1))
    assert now.seconds is not None
    assert later.seconds is not None
    assert 0.0 <= now.seconds <= later.seconds
