"""How much of one account is sent for before its limit speaks."""

from scheduler.beat.dispatch.pacing import LEAST, Pacing, sent_at_once
from worker.connectors.registry import Registry
from worker.limits.policy import Limits, Rule
from worker.runs.states import queues_of


def test_an_account_without_a_rate_is_sent_for_without_bound() -> None:
    assert sent_at_once(Limits(), 2.0) is None
    assert sent_at_once(Limits(concurrency=2), 2.0) is None
    assert sent_at_once(Limits(rules=(Rule(quota=1000),)), 2.0) is None


def test_what_limits_only_some_requests_bounds_no_run() -> None:
    assert sent_at_once(Limits(rules=(Rule(requests=1, per=60.0, methods=("POST",)),)), 2.0) is None
    assert sent_at_once(Limits(rules=(Rule(requests=1, per=60.0, of="connection"),)), 2.0) is None


def test_a_slow_account_gets_a_line_and_a_fast_one_what_it_can_begin_in_two_seconds() -> None:
    assert sent_at_once(Limits(requests=10, per=1.0), 2.0) == 10 * 2 + 1
    assert sent_at_once(Limits(requests=5, per=60.0), 2.0) == LEAST
    assert sent_at_once(Limits(requests=100, per=1.0, burst=50), 2.0) == 250
    assert sent_at_once(Limits(requests=100, per=1.0, rules=(Rule(requests=600, per=60.0),)), 2.0) == 21


def test_every_queue_of_a_system_with_a_rate_is_paced_and_no_other() -> None:
    registry = Registry.load()
    limited = {c.system for c in registry.connectors() if sent_at_once(c.limits, 2.0) is not None}
    assert limited
    assert set(Pacing.of(registry.connectors(), short_wait=2.0).queues) == {
        q for system in limited for q in queues_of(system)
    }
