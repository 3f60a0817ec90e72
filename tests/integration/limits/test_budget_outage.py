"""What becomes of the budget when Valkey is away, frozen, emptied, or its answer is lost: slower, never open."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
import redis
from servers.waiting import wait_until
from structlog.testing import capture_logs

from worker.errors import InvalidInput, RateLimited
from worker.limits.budget import Budgets
from worker.limits.policy import Answer, Limits

pytestmark = pytest.mark.integration

Make = Callable[..., Budgets]


def granted(budgets: Budgets, account: str, limits: Limits) -> datetime | None:
    """The time of a grant that is given back at once; None: refused."""
    try:
        with budgets.permit(account, limits) as permit:
            return permit.at
    except RateLimited:
        return None


def grants_until(budgets: Budgets, account: str, limits: Limits, end: float) -> list[datetime]:
    times, pause = [], threading.Event()
    while monotonic() < end:
        if (at := granted(budgets, account, limits)) is not None:
            times.append(at)
        pause.wait(0.001)
    return times


def fullest_window(times: list[datetime], seconds: float) -> int:
    window = timedelta(seconds=seconds)
    return max(sum(start <= t <= start + window for t in times) for start in times)


def test_the_limit_holds_while_valkey_dies_and_comes_back_empty(
    make: Make, account: str, budget_valkey: Any
) -> None:
    """Four processes' worth of callers, as many as the slow pace is made for."""
    limits, end = Limits(requests=40, per=1.0, burst=10), monotonic() + 3.5
    workers = [make() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool, capture_logs() as logs:
        running = [pool.submit(grants_until, one, account, limits, end) for one in workers]
        wait_until(lambda: monotonic() > end - 2.5)
        budget_valkey.stop()
        wait_until(lambda: monotonic() > end - 1.2)
        budget_valkey.start()
        times = [at for one in running for at in one.result()]
    assert fullest_window(times, 1.0) <= 40
    events = [entry["event"] for entry in logs]
    assert events.count("budget_fallback") == 4
    assert events.count("budget_restored") == 4
    after = max(times) - timedelta(seconds=0.5)
    assert sum(at > after for at in times) > 5


def test_without_valkey_a_quarter_of_the_rate_is_granted_one_at_a_time(
    make: Make, account: str, budget_valkey: Any
) -> None:
    limits, budgets = Limits(requests=24, per=1.0), make(short_wait=0.5)
    budget_valkey.stop()
    try:
        times = grants_until(budgets, account, limits, monotonic() + 1.5)
        assert 4 <= len(times) <= 8
        assert min(b - a for a, b in pairwise(times)) >= timedelta(seconds=0.199)
        with budgets.permit(account, Limits()):
            assert granted(budgets, account, Limits()) is None
        assert granted(budgets, account, Limits())
        state = budgets.state(account)
        assert (state.shared, state.slots) == (False, 0)
    finally:
        budget_valkey.start()


def test_a_hold_set_without_valkey_counts_here_at_once_and_everywhere_once_it_is_back(
    make: Make, account: str, budget_valkey: Any
) -> None:
    here, elsewhere = make(), make()
    budget_valkey.stop()
    try:
        held = here.hold(account, 60, "429 in the dark")
        with pytest.raises(RateLimited, match="429 in the dark"), here.permit(account, Limits()):
            pass
    finally:
        budget_valkey.start()
    wait_until(lambda: granted(here, account, Limits()) or here.state(account).shared)
    assert granted(here, account, Limits()) is None
    assert granted(elsewhere, account, Limits()) is None
    state = elsewhere.state(account)
    assert state.reason == "429 in the dark"
    assert state.held_until is not None
    assert abs(state.held_until - held) < timedelta(seconds=1)


def test_a_valkey_that_forgot_everything_is_told_again_by_whoever_knows(
    make: Make, account: str, budget_valkey: Any
) -> None:
    budgets, limits = make(), Limits(requests=10, per=60, burst=9)
    assert [bool(granted(budgets, account, limits)) for _ in range(10)] == [True] * 9 + [False]
    budgets.hold("held" + account, 60, "429")
    budget_valkey.client.flushall()
    budget_valkey.client.script_flush()
    assert granted(budgets, account, limits) is None
    assert granted(budgets, "held" + account, limits) is None
    assert granted(make(), "held" + account, limits) is None


def test_a_frozen_valkey_costs_one_time_out_and_not_one_per_request(
    make: Make, account: str, budget_valkey: Any
) -> None:
    budgets = make(short_wait=0.2, cool_down=5.0)
    assert granted(budgets, account, Limits())
    budget_valkey.process.send_signal(signal.SIGSTOP)
    try:
        began = monotonic()
        assert granted(budgets, account, Limits())
        assert monotonic() - began > 1.5
        began = monotonic()
        assert all(granted(budgets, account, Limits()) for _ in range(50))
        budgets.hold("another", 5, "429")
        assert monotonic() - began < 20, "one time-out each would be a hundred seconds"
    finally:
        budget_valkey.process.send_signal(signal.SIGCONT)


def test_a_slot_taken_by_a_lost_answer_is_freed_once_valkey_answers_again(
    make: Make, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets, limits = make(slot_lease=600.0), Limits(concurrency=1)
    lost: list[Answer] = []
    real = budgets._asker.shared.take

    def loses_the_first(*args: Any, **kwargs: Any) -> Answer:
        answer = real(*args, **kwargs)
        if not lost:
            lost.append(answer)
            raise redis.TimeoutError
        return answer

    monkeypatch.setattr(budgets._asker.shared, "take", loses_the_first)
    with budgets.permit(account, limits):
        assert make().state(account).slots == 1
    wait_until(lambda: budgets.state(account).shared)
    assert budgets.state(account).slots == 0


def test_a_slot_whose_release_met_an_outage_is_freed_after_it(
    make: Make, account: str, budget_valkey: Any
) -> None:
    budgets = make(slot_lease=600.0)
    with ExitStack() as permit:
        permit.enter_context(budgets.permit(account, Limits(concurrency=1)))
        budget_valkey.process.send_signal(signal.SIGSTOP)
        try:
            permit.close()
        finally:
            budget_valkey.process.send_signal(signal.SIGCONT)
    wait_until(lambda: budgets.state(account).shared)
    assert budgets.state(account).slots == 0


@pytest.mark.parametrize(
    "url", ["redis://:s3cret#x@127.0.0.1:6379/0", "redis://:a@h:s3cret/0", "amqp://:s3cret@h"]
)
def test_an_unreadable_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Budgets(url, short_wait=1.0)
    assert refused.value.code == "bad_broker_url"
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__
