"""Quotas and long windows: counted in Postgres, handed out by Valkey, never exceeded whatever is lost in between."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from servers.waiting import wait_until

from worker.db.database import Database
from worker.errors import RateLimited, Transient
from worker.limits.budget import Budgets
from worker.limits.policy import SECOND, Limits, Rule, Verdict
from worker.limits.quotas.quota import Block, block_of, period_of
from worker.limits.quotas.stored import StoredQuotas
from worker.limits.valkey import question as question_module
from worker.limits.valkey.question import Asked, Patience
from worker.limits.valkey.shared import SharedBudget, Told

pytestmark = pytest.mark.integration

DAY = Limits(rules=(Rule(quota=1000, timezone="Europe/Berlin"),))
HOUR = Limits(rules=(Rule(requests=400, per=3600.0, burst=400),))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url, name="test")
    yield found
    found.close()


@pytest.fixture
def budgets(make: Callable[..., Budgets], database: Database) -> Budgets:
    return make(quotas=StoredQuotas(database))


def granted(budgets: Budgets, account: str, limits: Limits, **options: Any) -> bool:
    try:
        with budgets.permit(account, limits, **options):
            return True
    except RateLimited:
        return False


def used(budgets: Budgets, account: str, limits: Limits, tries: int, **options: Any) -> int:
    return sum(granted(budgets, account, limits, **options) for _ in range(tries))


def test_a_days_quota_is_used_up_to_its_last_request_and_refused_until_it_begins_anew(
    budgets: Budgets, account: str
) -> None:
    limits = Limits(rules=(Rule(quota=30, resets="06:00", timezone="Asia/Tokyo"),))
    assert used(budgets, account, limits, 40, lane=0) == 30
    with pytest.raises(RateLimited) as refused, budgets.permit(account, limits, lane=0):
        pass
    at: datetime = refused.value.resume_at
    assert (at.hour, at.minute) == (21, 0), "six in the morning in Tokyo"


def test_an_estimate_knows_of_a_quota_that_is_nearly_used_up(budgets: Budgets, account: str) -> None:
    limits = Limits(rules=(Rule(requests=1000, per=1.0, burst=1000), Rule(quota=30)))
    assert used(budgets, account, limits, 29, lane=0) == 29
    assert budgets.estimate(account, limits, 1) < 1
    ends = period_of(limits.rules[1], int(datetime.now(UTC).timestamp() * SECOND))[1] / SECOND
    wait = budgets.estimate(account, limits, 5)
    assert abs(datetime.now(UTC).timestamp() + wait - ends) < 5


def test_less_urgent_lanes_leave_the_last_of_a_quota_to_the_others(budgets: Budgets, account: str) -> None:
    limits = Limits(rules=(Rule(quota=100),))
    assert used(budgets, account, limits, 120, lane=4) == 90
    assert used(budgets, account, limits, 120, lane=3) == 8
    assert used(budgets, account, limits, 120, lane=2) == 2


@pytest.mark.parametrize("limits", [DAY, HOUR])
def test_a_valkey_that_forgets_costs_at_most_a_block_and_never_goes_above(
    make: Callable[..., Budgets], database: Database, account: str, budget_valkey: Any, limits: Limits
) -> None:
    rule = limits.rules[0]
    total, block = rule.quota or rule.requests or 0, block_of(rule, 1)
    first = used(make(quotas=StoredQuotas(database)), account, limits, total // 3, lane=0)
    budget_valkey.client.flushall()
    budget_valkey.remember()
    again = used(make(quotas=StoredQuotas(database)), account, limits, total, lane=0)
    assert total - 2 * block <= first + again <= total


def test_a_short_hold_does_not_become_one_until_the_quota_begins_anew(
    make: Callable[..., Budgets], database: Database, account: str
) -> None:
    """A lane that has used up its share waits for tomorrow; the others don't wait with it."""
    limits = Limits(rules=(Rule(quota=100),))
    one, other = (make(quotas=StoredQuotas(database), short_wait=3.0) for _ in range(2))
    assert used(one, account, limits, 95, lane=4) == 90
    one.hold(account, 1.0, "429")
    assert not granted(one, account, limits, lane=4)
    assert granted(one, account, limits, lane=0)
    assert granted(other, account, limits, lane=0)
    state = one.state(account)
    assert state.held_until is None or (state.held_until - datetime.now(UTC)).total_seconds() < 5


def test_several_quotas_want_their_blocks_at_once_and_nobody_waits_for_it(
    budgets: Budgets, account: str
) -> None:
    month, hour = Rule(quota=30_000, period="month"), Rule(requests=4000, per=3600.0, burst=4000)
    limits = Limits(rules=(Rule(quota=1000), month, hour, Rule(quota=500, of="connection")))
    assert used(budgets, account, limits, 20) == 20


def test_what_is_left_of_a_block_is_there_after_a_pause(
    budgets: Budgets, account: str, budget_valkey: Any
) -> None:
    """Else an account that asks little and often would lose nearly all of its quota to blocks begun."""
    assert granted(budgets, account, DAY)
    (key,) = budget_valkey.client.scan_iter(f"*{account}*")
    assert budget_valkey.client.pttl(key) > 86_400_000


def test_dear_requests_keep_a_long_window_and_go_on_when_it_has_passed(
    budgets: Budgets, account: str
) -> None:
    limits = Limits(rules=(Rule(requests=100, per=3600.0, burst=100),))
    assert used(budgets, account, limits, 5, cost=40) == 2
    assert used(budgets, account, limits, 40) == 20


def test_a_request_dearer_than_its_quota_takes_all_of_it_and_a_cheap_one_what_a_dear_one_left(
    budgets: Budgets, account: str
) -> None:
    assert granted(budgets, account, Limits(rules=(Rule(quota=5),)), cost=10, lane=0)
    limits = Limits(rules=(Rule(quota=50, period="month"),))
    assert used(budgets, account, limits, 3, cost=20, lane=0) == 2
    assert used(budgets, account, limits, 20, lane=0) == 10


def test_a_grant_reserved_beyond_the_end_of_a_day_is_not_taken_from_that_day(
    make: Callable[..., Budgets], account: str, budget_valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Patience(short_wait=2 * SECOND, lease=0, stored=True)
    shared = SharedBudget(budget_valkey.url, patience=patience)
    seconds, micros = budget_valkey.client.time()
    now = seconds * SECOND + micros
    ends = now + 3 * SECOND
    monkeypatch.setattr(question_module, "period_of", lambda *_: (0, ends))
    asked = Asked(account, Limits(requests=1, per=2.0, rules=(Rule(quota=10),)))
    question = shared.question(asked, now)
    told = Told(block=(0, 0, Block(10, ends, 0, 10)))
    options = {"cost": 1, "max_wait": 10 * SECOND}
    first = shared.take(question, token="a", told=told, **options)
    second, third = (shared.take(question, token=token, **options) for token in "bc")
    shared.close()
    assert [answer.verdict for answer in (first, second)] == [Verdict.GRANTED] * 2
    assert (third.verdict, third.place) == (Verdict.AGAIN, ends)


def test_workers_that_ask_at_once_share_the_quota(
    make: Callable[..., Budgets], database: Database, account: str
) -> None:
    limits = Limits(rules=(Rule(quota=60),))
    several = [make(short_wait=0.5, quotas=StoredQuotas(database)) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        counts = [pool.submit(used, several[n % 3], account, limits, 20, lane=0) for n in range(6)]
        assert sum(count.result() for count in counts) == 60


def test_a_quota_costs_a_commit_for_each_block_and_not_for_each_request(
    budgets: Budgets, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []
    quotas = budgets._asker._quotas
    assert quotas is not None
    real = quotas.fetch

    def counting(*args: Any, **kwargs: Any) -> Any:
        fetched.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(quotas, "fetch", counting)
    limits = Limits(rules=(Rule(quota=10_000),))
    assert used(budgets, account, limits, 100) == 100
    assert len(fetched) == 2


def test_without_valkey_the_quota_still_holds(budgets: Budgets, account: str, budget_valkey: Any) -> None:
    limits = Limits(rules=(Rule(quota=5),))
    assert used(budgets, account, limits, 2, lane=0) == 2
    budget_valkey.stop()
    try:
        assert used(budgets, account, limits, 10, lane=0) == 3
    finally:
        budget_valkey.start()


@pytest.mark.parametrize("limits", [DAY, Limits(rules=(Rule(requests=400_000, per=3600.0),))])
def test_without_valkey_a_request_costs_no_more_of_a_quota_than_with_it(
    make: Callable[..., Budgets], database: Database, account: str, budget_valkey: Any, limits: Limits
) -> None:
    rule = limits.rules[0]
    budget_valkey.stop()
    try:
        alone = make(quotas=StoredQuotas(database))
        for _ in range(5):
            wait_until(lambda: granted(alone, account, limits, lane=0))
    finally:
        budget_valkey.start()
    row = database.one(
        "SELECT used, fetched FROM budget_quotas WHERE scope LIKE %(s)s", {"s": f"%{account}%"}
    )
    assert row is not None
    if rule.quota:
        assert row["used"] == 5
    else:
        assert len(row["fetched"]) * block_of(rule, 1) - row["used"] == 5


def test_without_valkey_and_postgres_an_account_goes_on_when_one_of_them_is_back(
    make: Callable[..., Budgets], database: Database, account: str, budget_valkey: Any
) -> None:
    quotas = StoredQuotas(database)
    budgets, away = make(quotas=quotas), True
    real = quotas.fetch

    def fetch(*args: Any, **kwargs: Any) -> Block:
        if away:
            raise Transient("database_unavailable", "Away.")
        return real(*args, **kwargs)

    quotas.fetch = fetch  # type: ignore[method-assign]
    budget_valkey.stop()
    try:
        with pytest.raises(Transient), budgets.permit(account, DAY):
            pass
        away = False
        assert granted(budgets, account, DAY)
    finally:
        budget_valkey.start()


def test_only_the_first_valkey_that_an_installation_meets_has_forgotten_nothing(
    make: Callable[..., Budgets], database: Database, account: str, budget_valkey: Any
) -> None:
    limits = Limits(requests=1, per=60.0)
    budget_valkey.client.flushall()
    assert granted(make(quotas=StoredQuotas(database)), account, limits)
    budget_valkey.client.flushall()
    assert not granted(make(quotas=StoredQuotas(database)), account, limits)
    budget_valkey.remember()
