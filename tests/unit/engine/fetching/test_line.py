"""What is kept of the pages on their way when one of them has to be asked for alone."""

from collections.abc import Callable
from datetime import UTC, datetime

from worker.connectors.contract import Page, Position
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.line import Answer, Line
from worker.engine.fetching.memory import Room

LARGE = 5 * 1024 * 1024


class Held(Ahead):
    """Threads that begin when the test says so."""

    def __init__(self) -> None:
        super().__init__(1, side_by_side=3)
        self.held: list[Callable[[], None]] = []

    def start(self, work: Callable[[], None]) -> bool:
        self.held.append(work)
        return True


def read(position: Position, room: Room) -> Answer:
    room.grow(LARGE)
    return Answer(Page([]), LARGE, datetime(2026, 11, 27, tzinfo=UTC), last=True)


def test_a_page_that_came_is_kept_though_nobody_had_begun_with_one_before_it() -> None:
    ahead = Held()
    line = Line(ahead, read)
    line.expected = LARGE
    places: list[Position] = [{"offset": place} for place in (0, 10, 20)]
    first, second, third = places
    line.ask(places, at_once=3)
    ahead.held[2]()
    line.hush()
    assert (line.take(first), line.take(second)) == (None, None), "nobody had begun with them"
    kept = line.take(third)
    assert kept is not None
    assert kept.answer is not None
    ahead.held[0]()
    ahead.held[1]()
    assert ahead.memory.taken == LARGE, "room was given back twice, or never"
    assert not line.is_busy
