"""A system that is down is left alone and tried again; a stream that fails alone, or an answer, opens nothing."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from structlog.testing import capture_logs

from worker.limits.system.breaker import FAILURES, FIRST_HOLD, Breaker, Failure, is_down
from worker.limits.system.failures import Tally

START = datetime(2026, 3, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass
class Shared:
    """What all workers see: counts, holds and the time."""

    now: datetime = START
    failures: int = 0
    everywhere: int = 0
    who: set[str] = field(default_factory=set)
    until: int = 0
    since: int | None = None
    questions: int = 0
    holds: list[float] = field(default_factory=list)
    length: float = FIRST_HOLD

    def add(self, account: str, who: str, *, everywhere: bool, within: float) -> Tally | None:
        del account, within
        self.questions += 1
        self.failures += 1
        self.everywhere += everywhere
        self.who.add(who)
        return Tally(
            self.failures, self.everywhere, len(self.who), self.until, self.since or 0, micros(self.now)
        )

    def opened(self, account: str, *, since: int, until: int, within: float) -> bool:
        del account, within
        self.questions += 1
        first, self.until, self.since = until > self.until, until, since
        return first

    def cleared(self, account: str) -> int | None:
        del account
        self.questions += 1
        since, self.failures, self.everywhere, self.until, self.since = self.since, 0, 0, 0, None
        self.who.clear()
        return since

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        del account, reason
        assert grows
        assert seconds == FIRST_HOLD
        self.questions += 1
        self.holds.append(self.length)
        until = self.now + timedelta(seconds=self.length)
        self.length = min(2 * self.length, 900.0)
        return until


def breaker(shared: Shared) -> Breaker:
    return Breaker(shared, shared, now=lambda: shared.now)


def fails(who: str = "1/parts", *, everywhere: bool = False) -> Failure:
    return Failure(who, "plant.example.com answered 503 to GET /parts", everywhere=everywhere)


@pytest.mark.parametrize(
    ("failures", "everywhere", "who", "open_until", "down"),
    [
        (FAILURES - 1, 0, 3, 0, False),
        (FAILURES, 0, 2, 0, True),
        (1000, 0, 1, 0, False),
        (1000, FAILURES - 1, 1, 0, False),
        (FAILURES, FAILURES, 1, 0, True),
        (1, 0, 1, 7, True),
    ],
)
def test_when_a_system_is_taken_to_be_down(
    failures: int, everywhere: int, who: int, open_until: int, down: bool
) -> None:
    assert is_down(Tally(failures, everywhere, who, open_until, 0, 10)) is down


def test_failures_of_several_workers_add_up_and_the_circuit_says_so_once() -> None:
    shared = Shared()
    workers = [breaker(shared), breaker(shared)]
    with capture_logs() as logs:
        untils = [workers[n % 2].failed("a", fails(f"1/{n % 3}")) for n in range(FAILURES + 2)]

    assert untils[: FAILURES - 1] == [None] * (FAILURES - 1)
    assert untils[FAILURES - 1 :] == [START + timedelta(seconds=FIRST_HOLD)] * 3
    assert shared.holds == [FIRST_HOLD], "those under way when it opened lengthen nothing"
    assert [(entry["event"], entry["account"], entry["failures"]) for entry in logs] == [
        ("circuit_opened", "a", FAILURES)
    ]
    assert logs[0]["reason"] == "plant.example.com answered 503 to GET /parts"


def test_a_trial_that_fails_opens_it_at_once_for_longer_and_one_that_succeeds_closes_it() -> None:
    shared = Shared()
    one, other = breaker(shared), breaker(shared)
    for _ in range(FAILURES):
        one.failed("a", fails(everywhere=True))
    shared.now += timedelta(seconds=20)
    assert other.failed("a", fails()) == shared.now + timedelta(seconds=30)
    shared.now += timedelta(seconds=40)
    with capture_logs() as logs:
        other.succeeded("a", tried=True)
        other.succeeded("a", tried=True)

    assert [(entry["event"], entry["seconds"]) for entry in logs] == [("circuit_closed", 60.0)]
    assert other.failed("a", fails()) is None, "it begins anew"


def test_a_success_clears_what_was_counted_and_one_that_nothing_failed_before_asks_nobody() -> None:
    shared = Shared()
    one = breaker(shared)
    one.succeeded("a")
    assert shared.questions == 0
    for _ in range(4):
        for n in range(FAILURES - 1):
            assert one.failed("a", fails(f"1/{n}")) is None
        one.succeeded("a")
    asked = shared.questions
    one.succeeded("a")

    assert shared.questions == asked
    assert shared.holds == []


def test_nothing_is_opened_where_nothing_can_be_counted() -> None:
    class Away(Shared):
        def add(self, account: str, who: str, *, everywhere: bool, within: float) -> Tally | None:
            return None

    one = breaker(Away())
    assert [one.failed("a", fails(everywhere=True)) for _ in range(20)] == [None] * 20
    without = Breaker(None, Shared())
    without.succeeded("a", tried=True)
    assert without.failed("a", fails(everywhere=True)) is None


class Workers(RuleBasedStateMachine):
    """Two workers and a system, in any order: what opens is a run of failures, never a stream alone."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = Shared()
        self.workers = [breaker(self.shared), breaker(self.shared)]
        self.run: list[tuple[str, bool]] = []

    @rule(worker=st.integers(0, 1), who=st.sampled_from("xyz"), everywhere=st.booleans())
    def fail(self, worker: int, who: str, everywhere: bool) -> None:
        self.run.append((who, everywhere))
        was_open = self.shared.until > 0
        until = self.workers[worker].failed("a", fails(who, everywhere=everywhere))
        witnesses = {name for name, _ in self.run}
        unreachable = sum(flag for _, flag in self.run)
        expected = was_open or unreachable >= FAILURES or (len(self.run) >= FAILURES and len(witnesses) > 1)
        assert (until is not None) is expected
        assert until is None or until > self.shared.now

    @rule(worker=st.integers(0, 1))
    def succeed(self, worker: int) -> None:
        known = "a" in self.workers[worker]._failing
        self.workers[worker].succeeded("a", tried=self.shared.until > 0)
        if known or not self.run or self.shared.until:
            self.run = []
        if not self.shared.failures:
            self.run = []

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.shared.now += timedelta(seconds=seconds)

    @invariant()
    def holds_only_grow(self) -> None:
        assert self.shared.holds == sorted(self.shared.holds)


TestWorkers = Workers.TestCase
TestWorkers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda names: names * 10))
def test_one_stream_alone_never_opens(names: list[str]) -> None:
    shared = Shared()
    one = breaker(shared)
    opened = [one.failed("a", fails(name)) is not None for name in names]
    assert any(opened) is (len(set(names)) > 1)
