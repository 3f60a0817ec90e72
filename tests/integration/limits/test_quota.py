"""Quotas and long windows: counted in Postgres, handed out by Valkey, never exceeded whatever is lost in between."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from worker.db.database import Database
from worker.errors import RateLimited
from worker.limits.budget import Budgets
from worker.limits.policy import Limits, Rule
from worker.limits.quota import StoredQuotas, block_of

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


def test_only_the_first_valkey_that_an_installation_meets_has_forgotten_nothing(
    make: Callable[..., Budgets], database: Database, account: str, budget_valkey: Any
) -> None:
    limits = Limits(requests=1, per=60.0)
    budget_valkey.client.flushall()
    assert granted(make(quotas=StoredQuotas(database)), account, limits)
    budget_valkey.client.flushall()
    assert not granted(make(quotas=StoredQuotas(database)), account, limits)
    budget_valkey.remember()
