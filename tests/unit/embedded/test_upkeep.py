"""When a part is started again, seen on a clock that the test turns. Its process is a stand-in that dies when told."""

from pathlib import Path
from typing import cast

import pytest

from scheduler.embedded.supervisor.parts import Part, State
from scheduler.embedded.supervisor.processes import Child
from scheduler.embedded.supervisor.upkeep import STEADY_AFTER, Upkeep
from worker.errors import NeedsOperator


class Mortal:
    """As much of a Child as the upkeep looks at while nothing is stopped."""

    pid = 4711
    exit_code: int | None = None
    alive = True

    def die(self) -> None:
        self.alive, self.exit_code = False, 1

    def kill(self) -> None:
        self.alive = False


class Births:
    """Hands out mortals, or the error that a launch meets."""

    def __init__(self) -> None:
        self.born: list[Mortal] = []
        self.trouble: Exception | None = None

    def __call__(self) -> Child:
        if self.trouble is not None:
            raise self.trouble
        self.born.append(Mortal())
        return cast(Child, self.born[-1])


@pytest.fixture
def births() -> Births:
    return Births()


@pytest.fixture
def kept(births: Births, tmp_path: Path) -> Upkeep:
    kept = Upkeep(Part("worker", launch=births), tmp_path, 0, None)
    kept.launch(now=0.0)
    kept.tend(now=0.0)
    assert kept.state.state is State.RUNNING
    return kept


def die_at(kept: Upkeep, births: Births, now: float) -> float:
    """Die, and come back as early as allowed: the seconds that took."""
    births.born[-1].die()
    kept.tend(now)
    assert kept.state.state is State.RESTARTING
    alive, waited = len(births.born), 0.0
    while len(births.born) == alive:
        waited += 0.5
        kept.tend(now + waited)
    kept.tend(now + waited)
    assert kept.state.state is State.RUNNING
    return waited


def test_quick_deaths_in_a_row_wait_ever_longer(kept: Upkeep, births: Births) -> None:
    now, waits = 1.0, []
    for _ in range(6):
        waits.append(die_at(kept, births, now))
        now += waits[-1] + 1
    assert waits == [1, 2, 4, 8, 16, 30]
    assert kept.state.restarts == 6


def test_a_minute_of_life_forgives_earlier_deaths(kept: Upkeep, births: Births) -> None:
    assert die_at(kept, births, 1.0) == 1
    assert die_at(kept, births, 4.0) == 2
    back_at = 4.0 + 2
    assert die_at(kept, births, back_at + STEADY_AFTER) == 1


def test_a_launch_that_fails_is_tried_again_and_counts_as_a_death(kept: Upkeep, births: Births) -> None:
    births.trouble = NeedsOperator("port_in_use", "Port 1 is in use.")
    births.born[-1].die()
    kept.tend(now=1.0)
    kept.tend(now=2.0)
    assert kept.state.state is State.RESTARTING
    births.trouble = None
    kept.tend(now=3.9)
    assert len(births.born) == 1
    kept.tend(now=4.0)
    assert len(births.born) == 2


def test_a_part_that_is_not_ready_again_in_time_is_ended_and_tried_anew(
    births: Births, tmp_path: Path
) -> None:
    answers = iter([True])
    part = Part("api", launch=births, ready=lambda: next(answers, False), ready_timeout=30)
    kept = Upkeep(part, tmp_path, 0, None)
    kept.launch(now=0.0)
    kept.tend(now=0.0)
    births.born[-1].die()
    kept.tend(now=1.0)
    kept.tend(now=2.0)
    kept.tend(now=31.0)
    assert births.born[-1].alive
    kept.tend(now=32.0)
    assert not births.born[-1].alive
    assert kept.state.state is State.RESTARTING


def test_somebody_who_watches_badly_disturbs_nothing(births: Births, tmp_path: Path) -> None:
    def broken(_part: Part, _state: object) -> None:
        raise ValueError("the display is gone")

    kept = Upkeep(Part("worker", launch=births), tmp_path, 0, broken)
    kept.launch(now=0.0)
    kept.tend(now=0.0)
    assert kept.state.state is State.RUNNING
