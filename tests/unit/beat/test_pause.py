"""How often does a beat go round?"""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.beat.scheduler import MANY, pause

counts = st.integers(0, 10_000)


@given(counts, counts)
def test_a_stream_is_never_late_by_more_than_half_a_second(woken: int, dispatched: int) -> None:
    assert 0.05 <= pause(woken=woken, dispatched=dispatched) <= 0.5


@given(counts, counts)
def test_more_to_do_never_makes_a_longer_pause(woken: int, dispatched: int) -> None:
    before = pause(woken=woken, dispatched=dispatched)
    assert pause(woken=woken + 1, dispatched=dispatched) <= before
    assert pause(woken=woken, dispatched=dispatched + 1) <= before


def test_queues_that_take_all_that_they_get_are_filled_again_soon() -> None:
    assert pause(woken=MANY, dispatched=0) < pause(woken=1, dispatched=0) < pause(woken=0, dispatched=0)
