"""Which connections are kept, and for how long, with a clock that stands where it is put."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from worker.sql import pool
from worker.sql.pool import IDLE, MOST, MOST_EACH, Pool


@dataclass
class Link:
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Clock:
    now: float = 100.0
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def at(self, moment: float, do: Callable[[], None]) -> None:
        self.due.append((moment, do))

    def go_to(self, moment: float) -> None:
        self.now = moment
        due, self.due = (
            [each for each in self.due if each[0] <= moment],
            [each for each in self.due if each[0] > moment],
        )
        for _, do in due:
            do()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pool, "monotonic", lambda: made.now)
    return made


def test_a_kept_one_is_handed_out_once_to_whoever_asks_for_the_same(clock: Clock) -> None:
    kept, link = Pool(clock), Link()  # type: ignore[arg-type]
    kept.keep("a", link)  # type: ignore[arg-type]
    assert kept.take("b") is None
    assert kept.take("a") is link
    assert kept.take("a") is None


def test_no_more_are_kept_than_a_few_each_and_some_in_all(clock: Clock) -> None:
    kept = Pool(clock)  # type: ignore[arg-type]
    links = [Link() for _ in range(MOST_EACH + 1)]
    for link in links:
        kept.keep("a", link)  # type: ignore[arg-type]
    assert [link.closed for link in links] == [True] + [False] * MOST_EACH
    for number in range(MOST + 5):
        kept.keep(number, Link())  # type: ignore[arg-type]
    assert len(kept) == MOST
    assert all(link.closed for link in links)


def test_one_that_nobody_came_for_is_closed(clock: Clock) -> None:
    kept, early, late = Pool(clock), Link(), Link()  # type: ignore[arg-type]
    kept.keep("a", early)  # type: ignore[arg-type]
    clock.now += IDLE / 2
    kept.keep("a", late)  # type: ignore[arg-type]
    clock.go_to(100 + IDLE)
    assert (early.closed, late.closed) == (True, False)
    clock.go_to(100 + 2 * IDLE)
    assert late.closed
    assert not clock.due
    kept.keep("a", early)  # type: ignore[arg-type]
    assert len(clock.due) == 1
