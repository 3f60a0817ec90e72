"""The shared budget on a real Valkey: its rate, its slots and its holds, among several processes."""

import signal
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from servers.waiting import wait_until

from worker.errors import Draining, RateLimited
from worker.limits import budget
from worker.limits.budget import Budgets
from worker.limits.policy import Answer, Limits, Verdict

pytestmark = pytest.mark.integration

ONE_AT_A_TIME = Limits(concurrency=1)
Make = Callable[..., Budgets]


def granted(budgets: Budgets, account: str, limits: Limits, **options: Any) -> datetime | None:
    """The time of a grant that is given back at once; None: refused."""
    try:
        with budgets.permit(account, limits, **options) as permit:
            return permit.at
    except RateLimited:
        return None


def fullest_window(times: list[datetime], seconds: float) -> int:
    window = timedelta(seconds=seconds)
    return max(sum(start <= t <= start + window for t in times) for start in times)


# The rate


@pytest.mark.parametrize("limits", [{"requests": 20, "per": 0.5, "burst": 5}, {"requests": 3, "per": 0.4}])
def test_several_processes_together_never_exceed_the_limit_and_use_most_of_it(
    child: Callable[..., Any], account: str, limits: dict[str, Any]
) -> None:
    children = [child(short_wait=0.2) for _ in range(3)]
    for one in children:
        one.tell(do="hammer", account=account, limits=limits, seconds=2.5)
    times = [datetime.fromisoformat(at) for one in children for at in one.hear()]
    assert fullest_window(times, limits["per"]) <= limits["requests"]
    assert len(times) >= 0.8 * 2.5 / limits["per"] * limits["requests"]


def test_a_short_wait_is_slept_until_the_grants_time(make: Make, account: str) -> None:
    budgets, limits = make(short_wait=1.0), Limits(requests=10, per=3.0)
    first = granted(budgets, account, limits)
    began = monotonic()
    with budgets.permit(account, limits) as permit:
        slept = monotonic() - began
    assert first is not None
    assert (permit.at - first).total_seconds() >= 0.3
    assert 0.2 < slept < 1.0
    assert abs(permit.waited - slept) < 0.05


def test_a_longer_wait_is_refused_at_once_with_the_time_and_consumes_nothing(
    make: Make, account: str
) -> None:
    budgets, limits = make(dice=lambda: 0.0), Limits(requests=1, per=60)
    first = granted(budgets, account, limits)
    assert first is not None
    before = budgets.state(account, limits)
    for _ in range(3):
        began = monotonic()
        with pytest.raises(RateLimited) as refused, budgets.permit(account, limits):
            pass
        assert monotonic() - began < 5
        assert refused.value.code == "budget_exhausted"
        assert (refused.value.resume_at - first).total_seconds() >= 60
    assert budgets.state(account, limits) == before


def test_backfill_leaves_room_for_those_who_cannot_wait(make: Make, account: str) -> None:
    budgets, limits = make(short_wait=0.6), Limits(requests=10, per=4.0)
    assert granted(budgets, account, limits)
    assert granted(budgets, account, limits, lane=4) is None
    assert granted(budgets, account, limits, lane=0)


def test_a_grant_that_came_too_late_is_asked_for_again(
    make: Make, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets, answers = make(short_wait=2.0), []
    real = budgets._asker.shared.take

    def slow_once(*args: Any, **kwargs: Any) -> Answer:
        answers.append(real(*args, **kwargs))
        if len(answers) == 1:
            threading.Event().wait(0.3)
        return answers[-1]

    monkeypatch.setattr(budgets._asker.shared, "take", slow_once)
    with budgets.permit(account, Limits(concurrency=1)) as permit:
        assert permit.waited >= 0.3
        assert budgets.state(account).slots == 1
    assert [answer.verdict for answer in answers] == [Verdict.GRANTED, Verdict.GRANTED]


def test_a_valkey_so_slow_that_every_grant_is_too_late_gives_the_run_back(
    make: Make, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not spend the account's rate for ever and send nothing."""
    monkeypatch.setattr(budget, "STALE", -1.0)
    assert granted(make(), account, Limits()) is None


# Slots


def test_no_more_requests_are_under_way_than_there_are_slots(make: Make, account: str) -> None:
    budgets, lock = make(short_wait=5.0), threading.Lock()
    under_way, most = 0, 0

    def work() -> None:
        nonlocal under_way, most
        with budgets.permit(account, Limits(concurrency=3)):
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.02)
            with lock:
                under_way -= 1

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(24)]:
            done.result()
    assert most == 3
    assert budgets.state(account).slots == 0


def test_a_full_account_refuses_for_about_a_second_and_spends_no_rate(make: Make, account: str) -> None:
    budgets, limits = make(short_wait=0.1), Limits(requests=2, per=60, concurrency=1)
    with budgets.permit(account, limits):
        paid, began, asked_at = budgets.state(account, limits).paid_off_at, monotonic(), datetime.now(UTC)
        with pytest.raises(RateLimited) as refused, budgets.permit(account, ONE_AT_A_TIME):
            pass
        assert monotonic() - began >= 0.06
    assert (refused.value.resume_at - asked_at).total_seconds() > 0.8
    assert (refused.value.resume_at - datetime.now(UTC)).total_seconds() < 1.6
    assert budgets.state(account, limits).paid_off_at == paid


def test_the_slot_of_a_killed_process_comes_back_by_itself(
    make: Make, child: Callable[..., Any], account: str
) -> None:
    holder, budgets = child(slot_lease=1.0), make()
    assert holder.ask(do="keep", account=account, limits={"concurrency": 1}) == "kept"
    assert granted(budgets, account, ONE_AT_A_TIME) is None
    holder.process.send_signal(signal.SIGKILL)
    wait_until(lambda: granted(budgets, account, ONE_AT_A_TIME), 5)


def test_a_slot_is_remembered_for_as_long_as_its_request_may_take(
    make: Make, account: str, budget_valkey: Any
) -> None:
    """And so are the others, whenever they were taken."""
    budgets = make(slot_lease=600.0)
    with budgets.permit(account, Limits(concurrency=3)), budgets.permit(account, Limits(concurrency=3)):
        keys = [*budget_valkey.client.scan_iter(f"*{account}*")]
        assert len(keys) == 2
        assert all(budget_valkey.client.pttl(key) >= 600_000 for key in keys)


def test_a_slot_is_freed_when_the_request_fails(make: Make, account: str) -> None:
    budgets = make()
    with pytest.raises(ZeroDivisionError), budgets.permit(account, ONE_AT_A_TIME):
        raise ZeroDivisionError
    assert granted(budgets, account, ONE_AT_A_TIME)


def test_closing_wakes_those_who_wait_and_frees_their_slots(make: Make, account: str) -> None:
    budgets, limits = make(short_wait=20.0), Limits(requests=2, per=10, concurrency=5)
    assert granted(budgets, account, limits)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(granted, budgets, account, limits)
        wait_until(lambda: budgets.state(account).slots == 1)
        budgets.close()
        with pytest.raises(Draining):
            waiting.result(timeout=2)
    assert budgets.state(account).slots == 0


# Holds


def test_a_hold_is_seen_by_every_process_at_once(make: Make, child: Callable[..., Any], account: str) -> None:
    other, budgets = child(), make()
    assert other.ask(do="take", account=account)
    held = budgets.hold(account, 30, "429 from the system")
    assert other.ask(do="take", account=account) is None
    assert datetime.fromisoformat(other.ask(do="hold", account=account, seconds=5, reason="short")) == held
    state = budgets.state(account)
    assert (state.held_until, state.reason, state.shared) == (held, "429 from the system", True)
    with (
        pytest.raises(RateLimited, match="429 from the system") as refused,
        budgets.permit(account, Limits()),
    ):
        pass
    assert refused.value.resume_at >= held


def test_who_sleeps_for_a_grant_hears_of_a_hold_that_comes_meanwhile(
    make: Make, child: Callable[..., Any], account: str
) -> None:
    other, limits = child(), Limits(requests=1, per=0.8, concurrency=5)
    budgets = make(short_wait=2.0)
    assert other.ask(do="take", account="another" + account)
    assert granted(budgets, account, limits)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(granted, budgets, account, limits)
        wait_until(lambda: budgets.state(account).slots == 1)
        assert other.ask(do="hold", account=account, seconds=30, reason="429")
        assert waiting.result(timeout=5) is None
    assert budgets.state(account).slots == 0


def test_after_a_hold_one_request_at_a_time_tries_until_one_succeeds(make: Make, account: str) -> None:
    budgets, limits = make(), Limits(concurrency=5)
    budgets.hold(account, 1, "503")
    assert granted(budgets, account, limits) is None
    wait_until(
        lambda: datetime.now(UTC) > (budgets.state(account).held_until or datetime.min.replace(tzinfo=UTC))
    )
    with pytest.raises(AssertionError, match="failed again"), budgets.permit(account, limits):
        assert granted(budgets, account, limits), "the second is refused, and the first has failed again"
    with budgets.permit(account, limits):
        assert granted(budgets, account, limits) is None
    with budgets.permit(account, limits), budgets.permit(account, limits):
        assert granted(budgets, account, limits) is None, "the first success lets two try, and no more"
    assert granted(budgets, account, limits)
    assert not budgets.state(account).probing, "all five slots are trusted again"
    with ExitStack() as permits:
        for _ in range(5):
            permits.enter_context(budgets.permit(account, limits))


def test_a_failed_trial_halves_how_many_may_try(make: Make, account: str) -> None:
    budgets, limits = make(short_wait=1.6), Limits()
    budgets.hold(account, 1, "503")
    for _ in range(3):
        assert granted(budgets, account, limits)
    with pytest.raises(ZeroDivisionError), budgets.permit(account, limits):
        raise ZeroDivisionError
    impatient = make()
    with impatient.permit(account, limits), impatient.permit(account, limits):
        assert granted(impatient, account, limits) is None


def test_a_hold_that_grows_doubles_until_a_request_succeeds(make: Make, account: str) -> None:
    budgets = make(short_wait=4.0)

    def length() -> float:
        return round((budgets.hold(account, 1, "503", grows=True) - datetime.now(UTC)).total_seconds())

    def fail() -> float:
        with budgets.permit(account, Limits(concurrency=1)):
            return length()

    assert length() == 1
    assert length() == 1, "several failures of one moment count once"
    assert [fail(), fail()] == [2, 4]
    assert granted(budgets, account, Limits(concurrency=1), lane=0)
    assert length() == 1


def test_a_request_that_was_out_when_the_hold_came_does_not_end_the_probing(make: Make, account: str) -> None:
    budgets = make()
    with budgets.permit(account, Limits()):
        budgets.hold(account, 1, "429")
    assert budgets.state(account).probing


def test_a_trial_that_meets_the_next_hold_does_not_open_the_gates(make: Make, account: str) -> None:
    """The sender may report a 429 and leave its permit in peace; that was no success."""
    budgets = make(short_wait=2.0)
    budgets.hold(account, 1, "429")
    with budgets.permit(account, Limits()):
        budgets.hold(account, 1, "429 again")
    assert budgets.state(account).probing


def test_a_trial_whose_process_was_killed_is_followed_by_another(
    make: Make, child: Callable[..., Any], account: str
) -> None:
    trying, budgets = child(short_wait=2.0, slot_lease=1.0), make()
    budgets.hold(account, 1, "429")
    assert trying.ask(do="keep", account=account) == "kept"
    assert granted(budgets, account, Limits()) is None
    trying.process.send_signal(signal.SIGKILL)
    wait_until(lambda: granted(budgets, account, Limits()), 5)


def test_a_clock_set_back_on_the_server_costs_at_most_a_window_and_the_wait_runs_off(
    make: Make, account: str, budget_valkey: Any
) -> None:
    budgets, limits = make(dice=lambda: 0.0), Limits(requests=2, per=1.0)
    assert granted(budgets, account, limits)
    (key,) = budget_valkey.client.scan_iter(f"*{account}*")
    numbers = list(struct.unpack("<4d", budget_valkey.client.hget(key, "p")))
    numbers[2] += 86_400 * 1_000_000
    budget_valkey.client.hset(key, "p", struct.pack("<4d", *numbers))
    assert granted(budgets, account, limits) is None
    paid_off = budgets.state(account, limits).paid_off_at
    assert granted(budgets, account, limits) is None
    assert budgets.state(account, limits).paid_off_at == paid_off
    assert paid_off is not None
    assert paid_off < datetime.now(UTC) + timedelta(seconds=50)


def test_an_account_without_limits_leaves_no_trace(make: Make, account: str, budget_valkey: Any) -> None:
    assert granted(make(), account, Limits())
    assert [*budget_valkey.client.scan_iter(f"*{account}*")] == []


def test_what_is_kept_of_an_account_vanishes_when_it_is_idle(
    make: Make, account: str, budget_valkey: Any
) -> None:
    budgets = make(slot_lease=0.3)
    with budgets.permit(account, Limits(requests=5, per=0.2, concurrency=3)):
        keys = [*budget_valkey.client.scan_iter(f"*{account}*")]
        assert len(keys) == 2
        assert all(0 < budget_valkey.client.pttl(key) <= 120_000 for key in keys)
    assert len([*budget_valkey.client.scan_iter(f"*{account}*")]) == 1


@pytest.mark.parametrize("name", ["", "}", "{}", "a}b{c", "\x00\n", "\ud800", "ü" * 9000, "x:slots", "%"])
def test_accounts_may_have_any_name_and_never_meet(make: Make, name: str, budget_valkey: Any) -> None:
    budget_valkey.client.flushall()
    budget_valkey.remember()
    budgets, limits = make(), Limits(requests=1, per=0.6)
    for other in (name, name + "x", name + "}"):
        assert granted(budgets, other, limits)
    assert granted(budgets, name, limits) is None
