"""A grant that grew old before the request left is asked for again, and progress is made all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from worker.connectors.contract import Limits
from worker.errors import RateLimited
from worker.http import grant as grant_module
from worker.http.attempt import Attempt
from worker.http.grant import Grant, Refusals
from worker.limits.policy import Call
from worker.telemetry.steps import Steps


@dataclass
class Leave:
    waited: float = 0.0
    tried: bool = False


class Counting:
    """Grants, refuses from the nth on, and knows what is held."""

    def __init__(self, *, refuse_after: int = 99) -> None:
        self.granted = 0
        self.in_use = 0
        self.most_in_use = 0
        self.refuse_after = refuse_after

    @contextmanager
    def permit(
        self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3, call: Call | None = None
    ) -> Iterator[Leave]:
        if self.granted >= self.refuse_after:
            raise RateLimited("budget_exhausted", "wait", resume_at=datetime.now(UTC))
        self.granted += 1
        self.in_use += 1
        self.most_in_use = max(self.most_in_use, self.in_use)
        try:
            yield Leave()
        finally:
            self.in_use -= 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(grant_module, "monotonic", lambda: now[0])
    return now


def grant(budget: Counting, limits: Limits, refusals: Refusals) -> Grant:
    return Grant(budget, "a", limits, cost=1, lane=3, steps=Steps(), refusals=refusals)


@pytest.mark.parametrize(
    ("limits", "late", "asked"),
    [
        (Limits(requests=10, per=1), 0.2, 1),
        (Limits(requests=10, per=1), 0.3, 2),
        (Limits(requests=10, per=60), 1.1, 1),
        (Limits(requests=10, per=60), 1.3, 2),
        (Limits(concurrency=1), 9.0, 1),
    ],
)
def test_an_old_grant_is_given_up_for_a_new_one(
    clock: list[float], limits: Limits, late: float, asked: int
) -> None:
    budget = Counting()
    with grant(budget, limits, Refusals()) as held:
        clock[0] += late
        held.renew_if_old()
        assert budget.in_use == 1

    assert budget.granted == asked
    assert budget.most_in_use == 1, "one slot is enough"
    assert budget.in_use == 0


def test_a_system_that_is_slow_to_connect_is_reached_in_the_end(clock: list[float]) -> None:
    refusals, limits = Refusals(), Limits(requests=1, per=10)
    outcomes = []
    for _ in range(4):
        budget = Counting(refuse_after=1)
        try:
            with grant(budget, limits, refusals) as held:
                clock[0] += 1.0
                held.renew_if_old()
            outcomes.append("sent")
        except RateLimited:
            outcomes.append("refused")
        assert budget.in_use == 0

    assert outcomes == ["refused", "sent", "refused", "sent"]


def test_the_wire_tells_whether_an_old_connection_was_lost() -> None:
    calls: list[str] = []
    steps = Steps()
    fresh = Attempt(steps, lambda: calls.append("before"))
    fresh.connecting()
    fresh.before_sending()
    assert fresh.connected
    assert calls == ["before"]
    assert [entry["name"] for entry in steps.as_json()] == ["connect"]

    kept = Attempt(Steps(), lambda: None)
    kept.before_sending()
    answered = Attempt(Steps(), lambda: None)
    answered.answered()
    assert [each.lost_on_an_old_connection for each in (fresh, kept, answered)] == [False, True, False]
