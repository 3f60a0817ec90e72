"""Who asks a Valkey that failed, and when."""

import pytest
from structlog.testing import capture_logs

from worker.limits import outage as module
from worker.limits.outage import Outage
from worker.limits.policy import SECOND


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    ours = Clock()
    monkeypatch.setattr(module, "monotonic", ours)
    return ours


def test_after_a_failure_one_caller_tries_in_each_cool_down(clock: Clock) -> None:
    outage = Outage(cool_down=5.0)
    assert [outage.may_ask() for _ in range(3)] == [True] * 3
    outage.begin(OSError())
    assert not outage.may_ask()
    clock.now += 5.0
    assert [outage.may_ask() for _ in range(3)] == [True, False, False]
    clock.now += 5.0
    assert outage.may_ask(), "the one who tried never came back, and the next one may"


def test_an_outage_is_told_once_and_so_is_its_end(clock: Clock) -> None:
    outage = Outage(cool_down=5.0)
    with capture_logs() as logs:
        for _ in range(3):
            outage.begin(OSError("refused"))
        clock.now += 7.0
        outage.over(now=0)
        outage.over(now=0)
    assert [entry["event"] for entry in logs] == ["budget_fallback", "budget_restored"]
    assert logs[1]["seconds"] == 7.0
    assert all(outage.may_ask() for _ in range(3))


def test_valkeys_clock_goes_on_while_it_is_away(clock: Clock) -> None:
    outage = Outage(cool_down=5.0)
    outage.over(now=500 * SECOND)
    clock.now += 2.0
    outage.begin(OSError())
    clock.now += 3.0
    assert (outage.since, outage.last, outage.now()) == (502 * SECOND, 505 * SECOND, 505 * SECOND)
    outage.over(now=505 * SECOND)
    clock.now += 1.0
    assert (outage.last, outage.now()) == (505 * SECOND, 506 * SECOND)


def test_without_an_outage_there_is_none_to_remember(clock: Clock) -> None:
    outage = Outage(cool_down=5.0)
    assert outage.last == 0
    assert outage.since == outage.now()
