"""Who goes first where not all can go: lanes, connections that share an account, and those who were sent away before."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from worker.errors import RateLimited
from worker.limits.budget import Budgets
from worker.limits.policy import SECOND, Answer, Call, Limits, Rule, Verdict
from worker.limits.quotas.quota import Block
from worker.limits.valkey.question import Asked, Patience
from worker.limits.valkey.shared import SharedBudget

pytestmark = pytest.mark.integration

Make = Callable[..., Budgets]


@pytest.fixture
def shared(budget_valkey: Any) -> Iterator[SharedBudget]:
    patience = Patience(short_wait=2 * SECOND, lease=60 * SECOND, stored=False)
    found = SharedBudget(budget_valkey.url, patience=patience)
    yield found
    found.close()


def ask(shared: SharedBudget, asked: Asked, max_wait: int) -> Answer:
    return shared.take(shared.question(asked, 0), cost=1, max_wait=max_wait, token=uuid4().hex)


class Plenty:
    """Quotas that never end."""

    def fetch(self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int, alone: bool = False) -> Block:
        return Block(1000, 0, 0, 0, expires=now + 60 * SECOND)

    def first_ever(self) -> bool:
        return False


def at_of(budgets: Budgets, account: str, limits: Limits) -> datetime:
    with budgets.permit(account, limits) as permit:
        return permit.at


def served(budgets: Budgets, account: str, limits: Limits, lane: int, end: float) -> int:
    """How many requests of a crowd that never stops asking got through."""
    count, pause = 0, threading.Event()
    while monotonic() < end:
        try:
            with budgets.permit(account, limits, lane=lane, call=Call(f"c{lane}")):
                count += 1
        except RateLimited:
            pause.wait(0.01)
    return count


def test_a_more_urgent_lane_finds_room_however_many_of_the_others_wait(make: Make, account: str) -> None:
    limits, end = Limits(requests=20, per=1.0), monotonic() + 3.0
    budgets = make(short_wait=1.0)
    with ThreadPoolExecutor(40) as pool:
        crowd = [pool.submit(served, budgets, account, limits, 4, end) for _ in range(30)]
        urgent = [pool.submit(served, budgets, account, limits, 0, end) for _ in range(6)]
        backfilled, written = (sum(one.result() for one in group) for group in (crowd, urgent))
    assert written + backfilled <= 20 * 3.0 + 21
    assert written >= 15, "six threads that wait a second at most for each"


def test_no_lane_starves_while_all_those_before_it_never_stop_asking(shared: SharedBudget) -> None:
    """A lane that was passed over for ten seconds may reserve further than anybody else."""
    account, limits = str(uuid4()), Limits(requests=1000, per=1.0)
    full = 2 * SECOND
    while ask(shared, Asked(account, limits, 0), full).verdict is Verdict.GRANTED:
        pass
    backfill = Asked(account, limits, 4)
    assert ask(shared, backfill, SECOND).verdict is Verdict.TOO_EARLY
    key = shared.question(backfill, 0).scopes[0].key
    waited_since = int(shared._redis.hget(key, "w4"))
    shared._redis.hset(key, "w4", waited_since - 11 * SECOND)
    while ask(shared, Asked(account, limits, 0), full).verdict is Verdict.GRANTED:
        pass
    assert ask(shared, backfill, SECOND).verdict is Verdict.GRANTED
    assert ask(shared, backfill, SECOND).verdict is Verdict.TOO_EARLY


@pytest.mark.parametrize("lane", [3, 4])
def test_no_lane_starves_in_a_window_of_which_it_leaves_a_part_to_others(
    shared: SharedBudget, lane: int
) -> None:
    account, limits = str(uuid4()), Limits(requests=1000, per=60.0, burst=1000)
    asked = Asked(account, limits, lane)
    while ask(shared, Asked(account, limits, 0), 0).verdict is Verdict.GRANTED:
        pass
    key, before = shared.question(asked, 0).scopes[0].key, ask(shared, asked, 0)
    shared._redis.hset(key, f"w{lane}", before.now - 11 * SECOND)
    urgent, late = ask(shared, Asked(account, limits, 0), 0), ask(shared, asked, 0)
    assert late.at == urgent.at < before.at


def test_500_runs_are_sent_away_to_come_back_one_by_one(shared: SharedBudget) -> None:
    account, limits = str(uuid4()), Limits(requests=10, per=1.0)
    asked = Asked(account, limits, 3, "big")
    answers = [ask(shared, asked, 0) for _ in range(501)]
    places = sorted(answer.place for answer in answers if answer.verdict is Verdict.TOO_EARLY)
    assert len(places) >= 490
    gaps = [later - first for first, later in itertools.pairwise(places)]
    assert max(gaps) < 0.11 * SECOND
    assert 45 * SECOND < places[-1] - places[0] < 56 * SECOND


def test_one_with_many_runs_does_not_send_one_with_a_single_run_to_the_end(shared: SharedBudget) -> None:
    account, limits = str(uuid4()), Limits(requests=10, per=1.0)
    for _ in range(300):
        ask(shared, Asked(account, limits, 3, "big"), 0)
    single = ask(shared, Asked(account, limits, 3, "small"), 0)
    assert single.place - single.now < SECOND
    after = ask(shared, Asked(account, limits, 3, "big"), 0)
    assert after.place - after.now > 25 * SECOND


def test_whose_place_in_the_line_has_come_may_reserve_further_than_newcomers(shared: SharedBudget) -> None:
    account, limits = str(uuid4()), Limits(requests=5, per=1.0)
    reach = int(1.3 * SECOND)
    small = Asked(account, limits, 3, "small")
    while ask(shared, Asked(account, limits, 3, "big"), reach).verdict is Verdict.GRANTED:
        pass
    refused = ask(shared, small, reach)
    assert refused.verdict is Verdict.TOO_EARLY
    shared._redis.hset(f"{shared.question(small, 0).scopes[0].key}:line", "3small", refused.now - 1)
    while ask(shared, Asked(account, limits, 3, "big"), reach).verdict is Verdict.GRANTED:
        pass
    assert ask(shared, small, reach).verdict is Verdict.GRANTED


def test_those_who_wait_for_a_slot_or_a_trial_are_spread_too(shared: SharedBudget) -> None:
    account, limits = str(uuid4()), Limits(concurrency=1)
    asked = Asked(account, limits, 3)
    assert ask(shared, asked, 0).verdict is Verdict.GRANTED
    places = [ask(shared, asked, 0).place for _ in range(50)]
    assert len(set(places)) == 50
    assert places == sorted(places)


def test_a_freed_slot_goes_to_one_who_waits_for_it_in_the_same_process_at_once(
    make: Make, account: str
) -> None:
    budgets, limits, waited = make(short_wait=5.0), Limits(concurrency=1), []
    started = threading.Barrier(5)

    def work() -> None:
        started.wait()
        with budgets.permit(account, limits) as permit:
            waited.append(permit.waited)
            threading.Event().wait(0.01)

    with ThreadPoolExecutor(5) as pool:
        for done in [pool.submit(work) for _ in range(5)]:
            done.result()
    assert max(waited) < 0.5, "five times ten milliseconds, and no pauses in between"


def test_what_a_system_says_of_its_remaining_requests_slows_all_workers_down(
    make: Make, account: str
) -> None:
    said, other, limits = make(), make(short_wait=5.0), Limits(requests=1000, per=1.0)
    said.slow_down(account, 10, 4.0)
    with other.permit(account, limits) as first, other.permit(account, limits) as second:
        assert (second.at - first.at).total_seconds() >= 0.39
    with ThreadPoolExecutor(4) as pool:
        times = sorted(pool.map(lambda _: at_of(other, account, limits), range(3)))
    gaps = [(later - first).total_seconds() for first, later in itertools.pairwise(times)]
    assert min(gaps) >= 0.39, "also those who ask at once"
    said.slow_down(account, 0, 30.0)
    with pytest.raises(RateLimited) as refused, other.permit(account, limits):
        pass
    assert (refused.value.resume_at - datetime.now(UTC)).total_seconds() > 28
    assert not other.state(account).probing, "nobody was turned away: there is nothing to try"


def test_a_great_many_that_are_left_stop_nobody(make: Make, account: str) -> None:
    budgets = make()
    budgets.slow_down(account, 10**8, 1.0)
    assert budgets.state(account).held_until is None


def test_an_estimate_goes_by_the_right_one_of_several_windows(make: Make, account: str) -> None:
    """Those that Postgres counts aren't among the numbers that Valkey keeps."""
    day = Rule(requests=40_000, per=86_400.0, burst=40_000)
    limits = Limits(rules=(day, Rule(requests=1, per=30.0)))
    budgets = make(quotas=Plenty())
    assert at_of(budgets, account, limits)
    assert 29 < budgets.estimate(account, limits, 1) < 32


def test_an_estimate_says_how_long_a_run_will_wait(make: Make, account: str) -> None:
    budgets, limits = make(), Limits(requests=10, per=1.0)
    assert budgets.estimate(account, limits, 1) == 0
    assert 9 < budgets.estimate(account, limits, 100) < 11
    for _ in range(101):
        try:
            with budgets.permit(account, limits):
                pass
        except RateLimited:
            continue
    assert 8 < budgets.estimate(account, limits, 1) < 12, "behind those who were sent away"
    budgets.hold(account, 60, "429")
    assert budgets.estimate(account, limits, 1) > 58
