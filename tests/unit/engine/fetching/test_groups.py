"""Pages that are there are committed together; a page that isn't there is never waited for."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from worker.connectors.contract import Page, Window
from worker.engine.fetching.extract import Fetched
from worker.engine.fetching.groups import MOST_BYTES, MOST_SECONDS, grouped
from worker.engine.planning.plan import Plan
from worker.errors import Transient

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def pages(*sizes: int) -> list[Fetched]:
    plan = Plan(Window())
    return [
        Fetched(Page([]), plan, done=number == len(sizes), observed_at=NOW, size=size)
        for number, size in enumerate(sizes, 1)
    ]


def sizes(found: Iterator[list[Fetched]]) -> list[list[int]]:
    return [[page.size for page in group] for group in found]


def ready_now() -> bool:
    return True


def never_ready() -> bool:
    return False


def ticking(step: float) -> Callable[[], float]:
    now = [0.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    return clock


def test_pages_that_are_there_go_together() -> None:
    assert sizes(grouped(pages(1, 2, 3), ready_now)) == [[1, 2, 3]]


def test_a_page_that_is_not_there_is_not_waited_for() -> None:
    assert sizes(grouped(pages(1, 2, 3), never_ready)) == [[1], [2], [3]]


def test_a_group_ends_where_it_has_its_size() -> None:
    half = MOST_BYTES // 2
    assert sizes(grouped(pages(half, half, half, 1), ready_now)) == [[half, half], [half, 1]]


def test_a_page_larger_than_a_group_goes_alone() -> None:
    large = MOST_BYTES + 1
    assert sizes(grouped(pages(large, 1, 2), ready_now)) == [[large], [1, 2]]


def test_pages_that_trickle_in_are_not_gathered_for_long() -> None:
    found = grouped(pages(*[1] * 8), ready_now, clock=ticking(MOST_SECONDS / 2.5))
    assert max(map(len, sizes(found))) == 3


def test_nothing_is_taken_beyond_the_last_page() -> None:
    (last,) = pages(1)
    assert sizes(grouped([last], ready_now)) == [[1]]


def test_an_error_comes_after_the_pages_before_it() -> None:
    def broken() -> Iterator[Fetched]:
        yield from pages(1, 2, 3)[:2]
        raise Transient("answer_lost", "Gone.")

    found = grouped(broken(), ready_now)
    assert [page.size for page in next(found)] == [1, 2]
    with pytest.raises(Transient):
        next(found)


def test_the_first_page_may_fail() -> None:
    def broken() -> Iterator[Fetched]:
        yield from map(_fail, pages(1))

    with pytest.raises(Transient):
        next(grouped(broken(), ready_now))


def _fail(_: Fetched) -> Fetched:
    raise Transient("answer_lost", "Gone.")


def test_nobody_holds_the_pages_of_two_groups() -> None:
    handed: list[list[Fetched]] = []

    def coming() -> Iterator[Fetched]:
        for page in pages(1, 2):
            assert not any(handed), "the group before is empty when the next page comes in"
            yield page

    for group in grouped(coming(), never_ready):
        handed.append(group)  # noqa: PERF402 - each is looked at before the next comes
