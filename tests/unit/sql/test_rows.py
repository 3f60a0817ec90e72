"""How much of what a statement finds is taken."""

from collections.abc import Callable, Sequence

import pytest

from worker.http.wire.message import TooLarge
from worker.sql.rows import ENOUGH, FIRST, take_rows


def table(sizes: Sequence[int], steps: list[int]) -> Callable[[int], list[tuple[str, int]]]:
    rows = iter([(f'"{"x" * (size - 2)}"', number) for number, size in enumerate(sizes)])

    def fetch(count: int) -> list[tuple[str, int]]:
        steps.append(count)
        return [row for _, row in zip(range(count), rows, strict=False)]

    return fetch


def test_small_rows_are_taken_in_growing_steps_and_large_ones_in_small() -> None:
    steps: list[int] = []
    heard: list[int] = []
    rows = take_rows(table([10] * 5000, steps), (), asked=5000, most=10**8, comes=heard.append)
    assert (rows.count, rows.full, rows.last) == (5000, True, (4999,))
    assert steps[0] == FIRST
    assert len(steps) < 6
    assert heard == sorted(heard)
    steps.clear()
    take_rows(table([100_000] * 500, steps), (), asked=500, most=10**8, comes=heard.append)
    assert sum(steps) * 100_000 <= ENOUGH + 100_000
    steps.clear()
    take_rows(table([1000] * 9000, steps), (), asked=9000, most=10**8, comes=heard.append, likely=1000)
    assert len(steps) < 3


def test_the_rows_end_where_there_are_no_more() -> None:
    rows = take_rows(table([10] * 7, []), (), asked=100, most=10**6, comes=lambda _: None)
    assert (rows.count, rows.full) == (7, False)
    rows = take_rows(table([], []), (), asked=100, most=10**6, comes=lambda _: None)
    assert (rows.body, rows.count, rows.full, rows.last) == (b"[]", 0, False, None)


def test_a_page_never_holds_more_than_it_may_and_a_row_is_never_cut() -> None:
    rows = take_rows(table([400, 400, 400, 10], []), (), asked=100, most=1000, comes=lambda _: None)
    assert (rows.count, rows.full, rows.last) == (2, True, (1,))
    assert len(rows.body) <= 1000
    with pytest.raises(TooLarge):
        take_rows(table([4000], []), (), asked=100, most=1000, comes=lambda _: None)
