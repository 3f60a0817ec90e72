"""What a process grants by itself while Valkey is away, and what it remembers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.limits import local
from worker.limits.local import LocalBudget
from worker.limits.pace import SLOWDOWN
from worker.limits.policy import SECOND, Limits, Rule, Verdict

NOW = 1_772_000_000 * SECOND
FREE = Limits().all_rules()


def _granted(budget: LocalBudget, limits: Limits, now: int, since: int) -> int | None:
    answer = budget.take("a", limits.all_rules(), cost=1, max_wait=0, now=now, since=since)
    if answer.verdict is not Verdict.GRANTED:
        return None
    budget.release("a")
    return answer.at


@settings(deadline=None)
@given(
    requests=st.integers(SLOWDOWN, 40),
    burst=st.integers(1, 40),
    used=st.integers(0, 40),
    starts=st.lists(st.integers(0, SECOND), min_size=SLOWDOWN, max_size=SLOWDOWN),
)
def test_four_processes_that_ask_all_the_time_keep_the_limit_across_the_outages_start(
    requests: int, burst: int, used: int, starts: list[int]
) -> None:
    """Valkey granted a burst and went away; nobody of the four had heard of it."""
    limits = Limits(requests=requests, per=10.0, burst=burst)
    times = [NOW] * min(used, limits.burst, max(1, requests - 1))
    for start in starts:
        budget = LocalBudget()
        asked = range(NOW + start, NOW + 30 * SECOND, SECOND // 20)
        times += [at for now in asked if (at := _granted(budget, limits, now, NOW)) is not None]
    fullest = max(sum(first <= t <= first + 10 * SECOND for t in times) for first in times) if times else 0
    assert fullest <= requests


def test_it_is_a_quarter_of_the_rate_and_not_much_less() -> None:
    budget, limits = LocalBudget(), Limits(requests=400, per=10.0)
    asked = range(NOW, NOW + 20 * SECOND, SECOND // 1000)
    times = [at for now in asked if (at := _granted(budget, limits, now, NOW)) is not None]
    assert 190 <= len(times) <= 200


def test_one_request_at_a_time_even_without_limits() -> None:
    budget = LocalBudget()
    assert budget.take("a", FREE, cost=1, max_wait=0, now=NOW, since=NOW).verdict is Verdict.GRANTED
    assert budget.take("a", FREE, cost=1, max_wait=0, now=NOW, since=NOW).verdict is Verdict.NO_SLOT
    assert budget.take("b", FREE, cost=1, max_wait=0, now=NOW, since=NOW).verdict is Verdict.GRANTED
    budget.release("a")
    assert budget.take("a", FREE, cost=1, max_wait=0, now=NOW, since=NOW).verdict is Verdict.GRANTED


def test_a_hold_counts_locally_and_the_longest_wins() -> None:
    budget = LocalBudget()
    budget.hold("a", NOW + 60 * SECOND, "long", NOW)
    budget.hold("a", NOW + 5 * SECOND, "short", NOW)
    refused = budget.take("a", FREE, cost=1, max_wait=2 * SECOND, now=NOW, since=NOW)
    assert (refused.verdict, refused.at, refused.reason) == (Verdict.HELD, NOW + 60 * SECOND, "long")
    after = budget.take("a", FREE, cost=1, max_wait=0, now=NOW + 60 * SECOND, since=NOW)
    assert after.verdict is Verdict.GRANTED


def test_the_slowest_of_several_limits_is_kept_to() -> None:
    budget = LocalBudget()
    rules = Limits(requests=1000, per=1.0, rules=(Rule(requests=64, per=60.0, burst=64),)).all_rules()
    asked = range(NOW, NOW + 120 * SECOND, SECOND // 10)
    times = []
    for now in asked:
        answer = budget.take("a", rules, cost=1, max_wait=0, now=now, since=NOW - 600 * SECOND)
        if answer.verdict is Verdict.GRANTED:
            times.append(answer.at)
            budget.release("a")
    assert 28 <= len(times) <= 32


def test_a_window_that_postgres_counts_lets_nobody_wait_for_what_is_known_there() -> None:
    rules = Limits(rules=(Rule(requests=4000, per=3600.0, burst=4000),)).all_rules()

    def verdict(*, counted: bool) -> Verdict:
        asked = {"cost": 1, "max_wait": 0, "now": NOW + 600 * SECOND, "since": NOW}
        return LocalBudget().take("a", rules, counted=lambda _: counted, **asked).verdict

    assert verdict(counted=True) is Verdict.GRANTED
    assert verdict(counted=False) is Verdict.TOO_EARLY


def test_memory_stays_bounded_by_forgetting_what_is_over() -> None:
    budget = LocalBudget()
    budget.hold("held", NOW + 60 * SECOND, "429", NOW)
    for number in range(local.MOST_ACCOUNTS + 10):
        budget.hold(str(number), NOW - 1, "over", NOW)
    assert len(budget._accounts) <= local.MOST_ACCOUNTS
    held = budget.known("held")
    assert held is not None
    assert held.reason == "429"
