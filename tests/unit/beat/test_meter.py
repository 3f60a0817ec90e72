"""How far apart a stream is polled while its webhooks tell of what changes."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.beat.meter import ENOUGH, MOST, stretch


def stretched(now: float, *, told: int = 1000, missed: int = 0, just: int = 0, rested: bool = True) -> float:
    return stretch(now, told=told, missed=missed, just_missed=just, rested=rested)


def test_webhooks_that_tell_of_everything_relax_the_poll_step_by_step_up_to_a_bound() -> None:
    now = 1.0
    for _ in range(20):
        now = stretched(now)
    assert now == MOST
    assert stretched(2.0, rested=False) == 2.0


def test_a_miss_brings_the_poll_back_and_many_misses_all_the_way() -> None:
    assert stretched(8.0, missed=1, just=1) == 4.0
    assert stretched(8.0, told=100, missed=50, just=50) == 1.0
    assert stretched(8.0, told=0, missed=3) == 1.0


def test_a_few_changes_prove_nothing() -> None:
    assert stretched(1.0, told=ENOUGH - 1) == 1.0
    assert stretched(4.0, told=0) == 4.0, "nothing changes, so nothing is missed"


@given(st.floats(1, MOST), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100), st.booleans())
def test_no_stream_is_polled_more_often_than_its_schedule_or_less_than_the_bound(
    now: float, told: int, missed: int, just: int, rested: bool
) -> None:
    found = stretched(now, told=told, missed=missed, just=just, rested=rested)
    assert 1.0 <= found <= MOST
    assert not (just and found > now)
