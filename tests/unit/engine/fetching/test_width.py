"""How wide a run may read, and who gets the threads for it."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.fetching.ahead import SPARE_RUNS, Ahead
from worker.engine.fetching.sizes import CROWDING, GOOD_PAGES, SMALLEST, PageSize, PageSizes
from worker.engine.fetching.width import GOOD_ROUNDS, Width


def test_without_a_known_end_no_more_is_asked_for_than_was_read() -> None:
    width = Width(8)
    for read in range(1, 30):
        width.arrived(end_known=False)
        assert width.line <= read
        assert width.now == min(8, read)


def test_with_a_known_end_all_are_asked_for_at_once() -> None:
    width = Width(8)
    width.arrived(end_known=True)
    assert (width.now, width.line) == (8, 16)


def test_a_refusal_halves_it_and_it_comes_back_one_by_one() -> None:
    width = Width(8)
    width.arrived(end_known=True)
    width.refused()
    assert width.now == 4
    for _ in range(GOOD_ROUNDS * 4 - 1):
        width.arrived(end_known=True)
    assert width.now == 4
    width.arrived(end_known=True)
    assert width.now == 5


@given(st.integers(1, 64), st.lists(st.sampled_from(["known", "unknown", "refused", "wrong"]), max_size=200))
def test_it_is_always_between_one_and_what_is_allowed(most: int, events: list[str]) -> None:
    width = Width(most)
    for event in events:
        if event == "refused":
            width.refused()
        elif event == "wrong":
            width.guessed_wrong()
        else:
            width.arrived(end_known=event == "known")
        assert 1 <= width.now <= most
        assert width.now <= width.line <= 2 * most


def test_spare_threads_are_shared_and_come_back() -> None:
    ahead = Ahead(4, side_by_side=8)
    spare = SPARE_RUNS * 8
    assert sum(ahead.lend("one") for _ in range(100)) == spare
    assert not ahead.lend("other")
    for _ in range(spare // 2):
        ahead.take_back("one")
    assert sum(ahead.lend("other") for _ in range(100)) == spare // 2
    for _ in range(4):
        ahead.take_back("one")
    assert sum(ahead.lend("one") for _ in range(100)) == 4
    assert sum(ahead.lend("third") for _ in range(100)) == 0
    ahead.take_back("other")
    assert ahead.lend("third"), "what is free goes to who has the least"
    ahead.close()
    assert not ahead.start(lambda: None)


def test_pages_shrink_to_a_64th_and_grow_back_the_slower_the_more_often_that_went_wrong() -> None:
    size = PageSize()
    assert not size.larger
    while divisor := size.smaller:
        size.shrank(divisor)
    assert size.divisor == SMALLEST
    assert size.needed > GOOD_PAGES
    for _ in range(size.needed):
        assert size.larger is None
        size.came(1000)
    assert size.larger == SMALLEST // 2
    size.grew(SMALLEST // 2)
    assert size.larger is None


def test_pages_do_not_grow_into_what_would_crowd_others_out() -> None:
    size = PageSize(divisor=2)
    for _ in range(100):
        size.came(CROWDING)
    assert size.larger is None


def test_sizes_are_remembered_for_each_stream_and_only_once_kept() -> None:
    sizes = PageSizes()
    sizes.of(1, "parts").shrank(4)
    assert sizes.of(1, "parts").divisor == 1
    kept = PageSize(divisor=4)
    sizes.keep(1, "parts", kept)
    assert sizes.of(1, "parts") is kept
    assert sizes.of(1, "sites").divisor == sizes.of(2, "parts").divisor == 1
