"""Nobody can have all threads of the API wait for a system that says nothing."""

from contextlib import ExitStack

import pytest

from scheduler.connections.trial.room import Room
from worker.errors import Transient


def test_one_link_tries_no_more_than_two_at_a_time() -> None:
    room = Room()
    with ExitStack() as inside:
        for _ in range(2):
            inside.enter_context(room.place("a"))
        with pytest.raises(Transient) as full, room.place("a"):
            pass
        assert full.value.code == "trials_full"
        with room.place("b"):
            pass
    with room.place("a"):
        pass


def test_all_together_leave_threads_for_everybody_else() -> None:
    room = Room(most=3)
    with ExitStack() as inside:
        for whose in "abc":
            inside.enter_context(room.place(whose))
        with pytest.raises(Transient), room.place("d"):
            pass


def test_a_trial_that_fails_leaves_its_place_and_nothing_else() -> None:
    room = Room(most=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.place("a"):
            raise ZeroDivisionError
    assert not room._inside
