"""How often may one address be wrong?"""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.access.door.guessing import EACH, MOST_KNOWN, MOST_SOURCES, TRIES, Guessing, Kind

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guessing(clock: Clock) -> Guessing:
    return Guessing(clock=clock)


def wrong(guessing: Guessing, source: str = HERE, kind: Kind = Kind.TOKEN, digest: bytes = b"wrong") -> int:
    wait = guessing.take(source, kind, digest)
    if not wait:
        guessing.was_wrong(source, kind, digest)
    return wait


def exhaust(guessing: Guessing, source: str = HERE, kind: Kind = Kind.TOKEN) -> None:
    for _ in range(TRIES):
        assert wrong(guessing, source, kind) == 0
    assert wrong(guessing, source, kind) > 0


def test_after_some_tries_an_address_has_to_wait_and_no_longer_than_said(
    guessing: Guessing, clock: Clock
) -> None:
    exhaust(guessing)
    clock.now += wrong(guessing)
    assert wrong(guessing) == 0
    assert wrong(guessing) > 0


def test_asking_while_one_has_to_wait_makes_it_no_longer(guessing: Guessing, clock: Clock) -> None:
    exhaust(guessing)
    for _ in range(100):
        wrong(guessing)
    clock.now += EACH
    assert wrong(guessing) == 0


def test_many_at_once_have_no_more_tries(guessing: Guessing) -> None:
    """What counts is how many are under way, not how many were found wrong."""
    assert sum(guessing.take(HERE, Kind.TOKEN, bytes([n])) == 0 for n in range(100)) == TRIES


def test_another_address_has_tries_of_its_own(guessing: Guessing) -> None:
    exhaust(guessing)
    assert wrong(guessing, THERE) == 0


def test_who_is_right_uses_up_nothing(guessing: Guessing) -> None:
    for n in range(10 * TRIES):
        digest = n.to_bytes(4, "big")
        assert guessing.take(HERE, Kind.TOKEN, digest) == 0
        guessing.was_right(HERE, Kind.TOKEN, digest)
    exhaust(guessing)


def test_who_was_let_in_before_is_not_shut_out_by_a_neighbour(guessing: Guessing) -> None:
    guessing.take(HERE, Kind.TOKEN, b"valid")
    guessing.was_right(HERE, Kind.TOKEN, b"valid")
    exhaust(guessing)
    assert guessing.take(HERE, Kind.TOKEN, b"valid") == 0
    assert guessing.take(HERE, Kind.TOKEN, b"other") > 0


def test_a_token_that_was_revoked_is_known_no_more(guessing: Guessing) -> None:
    guessing.take(HERE, Kind.TOKEN, b"valid")
    guessing.was_right(HERE, Kind.TOKEN, b"valid")
    exhaust(guessing)
    guessing.was_wrong(HERE, Kind.TOKEN, b"valid")
    assert guessing.take(HERE, Kind.TOKEN, b"valid") > 0


def test_what_is_left_is_what_may_still_be_tried(guessing: Guessing, clock: Clock) -> None:
    assert guessing.left(HERE, Kind.TOKEN) == (TRIES, 0)
    wrong(guessing)
    assert guessing.left(HERE, Kind.TOKEN) == (TRIES - 1, EACH)
    clock.now += EACH / 2
    wrong(guessing)
    assert guessing.left(HERE, Kind.TOKEN) == (TRIES - 2, math.ceil(1.5 * EACH))
    assert [wrong(guessing) for _ in range(TRIES - 2)] == [0] * (TRIES - 2)
    assert guessing.left(HERE, Kind.TOKEN)[0] == 0
    assert wrong(guessing) > 0
    assert guessing.left(HERE, Kind.SESSION) == guessing.left(THERE, Kind.TOKEN) == (TRIES, 0)


def test_what_is_left_does_not_tell_a_token_that_was_known_from_one_that_never_was(
    guessing: Guessing,
) -> None:
    guessing.take(HERE, Kind.TOKEN, b"revoked")
    guessing.was_right(HERE, Kind.TOKEN, b"revoked")
    wrong(guessing, HERE, digest=b"revoked")
    wrong(guessing, THERE, digest=b"never")
    assert guessing.left(HERE, Kind.TOKEN) == guessing.left(THERE, Kind.TOKEN)


@pytest.mark.parametrize("kind", [Kind.MALFORMED, Kind.SESSION])
def test_what_can_be_no_token_uses_up_no_tries_of_tokens(guessing: Guessing, kind: Kind) -> None:
    """A program behind the same address that sends nonsense for hours, a browser that was left open."""
    exhaust(guessing, kind=kind)
    assert guessing.take(HERE, Kind.TOKEN, b"new") == 0


def test_memory_is_bounded_whoever_asks(guessing: Guessing) -> None:
    for n in range(MOST_SOURCES + 100):
        source = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        guessing.take(source, Kind.TOKEN, b"x")
        guessing.was_right(source, Kind.TOKEN, b"x")
    assert len(guessing._full_at) == MOST_SOURCES
    assert len(guessing._known) == MOST_KNOWN


@given(pauses=st.lists(st.floats(0, 10), max_size=100))
def test_however_the_tries_lie_there_are_never_more_than_come_back(pauses: list[float]) -> None:
    clock = Clock()
    guessing = Guessing(clock=clock)
    begun, tried = clock.now, 0
    for pause in pauses:
        clock.now += pause
        for _ in range(5):
            tried += wrong(guessing) == 0
    assert tried <= TRIES + (clock.now - begun) / EACH + 1e-6


@dataclass
class Together:
    """What several processes have counted, as Valkey does it."""

    clock: Clock
    full_at: float = 0.0

    def add(self) -> float:
        self.full_at = max(self.full_at, self.clock.now) + EACH
        return self.full_at - self.clock.now


@given(guesses=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10)), max_size=200))
def test_several_processes_give_no_more_tries_than_one_but_for_a_last_one_each(
    guesses: list[tuple[int, float]],
) -> None:
    clock = Clock()
    together, processes = Together(clock), [Guessing(clock=clock) for _ in range(4)]
    begun, looked_up = clock.now, 0
    for number, pause in guesses:
        clock.now += pause
        if processes[number].take(HERE, Kind.TOKEN, b"wrong") == 0:
            looked_up += 1
            processes[number].heard(HERE, Kind.TOKEN, together.add())
    assert looked_up <= TRIES + len(processes) + (clock.now - begun) / EACH + 1e-6


def test_what_was_one_too_many_for_all_together_has_to_wait(guessing: Guessing, clock: Clock) -> None:
    assert guessing.take(HERE, Kind.TOKEN, b"wrong") == 0
    wait = guessing.heard(HERE, Kind.TOKEN, (TRIES + 1) * EACH)
    assert wait == 2 * EACH
    assert guessing.take(HERE, Kind.TOKEN, b"other") > 0
    assert guessing.take(THERE, Kind.TOKEN, b"other") == 0
    clock.now += wait
    assert guessing.take(HERE, Kind.TOKEN, b"other") == 0
