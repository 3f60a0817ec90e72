"""The question to Valkey against a pure model, however several clients interleave: the same decisions, no window too full."""

import struct
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from worker.limits.pace import Track, earliest, pace_of, taken
from worker.limits.policy import SECOND, Answer, Limits, Rule, Verdict
from worker.limits.valkey.question import Asked, Patience
from worker.limits.valkey.shared import SharedBudget, Told

pytestmark = pytest.mark.integration

rules = st.builds(
    Rule, requests=st.integers(1, 12), per=st.sampled_from([0.005, 0.02, 0.3]), burst=st.integers(1, 12)
) | st.builds(Rule, requests=st.integers(257, 600), per=st.just(0.05), burst=st.integers(1, 600))
windows = st.lists(rules, min_size=1, max_size=3).map(tuple)
questions = st.lists(
    st.tuples(
        st.integers(0, 2),  # which client asks
        st.integers(1, 4),  # cost
        st.sampled_from([0, 0, 500, 30_000]),  # how long it can wait
        st.sampled_from([0, 3, 4]),  # lane
    ),
    min_size=1,
    max_size=60,
)
on_a_server = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def clients(budget_valkey: Any) -> Iterator[list[SharedBudget]]:
    patience = Patience(short_wait=0, lease=60 * SECOND, stored=False)
    found = [SharedBudget(budget_valkey.url, patience=patience) for _ in range(3)]
    yield found
    for one in found:
        one.close()


def ask(client: SharedBudget, asked: Asked, cost: int, max_wait: int, told: Told | None = None) -> Answer:
    question = client.question(asked, 0)
    return client.take(question, cost=cost, max_wait=max_wait, token=uuid4().hex, told=told or Told())


def fullest_window(grants: list[tuple[int, int]], period: int) -> int:
    return max(
        (sum(c for at, c in grants if first <= at <= first + period) for first, _ in grants), default=0
    )


def _payable(cost: int, paces: list[Any]) -> int:
    return min(cost, *(pace.block * pace.blocks for pace in paces))


@on_a_server
@given(windows=windows, asked=questions)
def test_lua_decides_as_the_pure_model_does_and_keeps_every_window(
    clients: list[SharedBudget], windows: tuple[Rule, ...], asked: list[tuple[int, int, int, int]]
) -> None:
    """The model is fed the times that Valkey says it decided at."""
    account, limits = str(uuid4()), Limits(rules=windows)
    tracks: list[Track] = [Track() for _ in windows]
    grants: list[tuple[int, int]] = []
    for client, wanted, max_wait, lane in asked:
        paces = [pace for rule in windows if (pace := pace_of(rule, lane)) is not None]
        cost = _payable(wanted, paces)
        answer = ask(clients[client], Asked(account, limits, lane), cost, max_wait)
        now = answer.now
        at = max(earliest(track, pace, now, cost) for track, pace in zip(tracks, paces, strict=True))
        assert (answer.verdict is Verdict.GRANTED, answer.at) == (at - now <= max_wait, at)
        if answer.verdict is Verdict.GRANTED:
            tracks = [taken(one, pace, now, at, cost) for one, pace in zip(tracks, paces, strict=True)]
            grants.append((at, cost))
    for rule in windows:
        assert fullest_window(grants, int(rule.per * SECOND)) <= (rule.requests or 0)


@on_a_server
@given(wide=rules, narrow=rules, asked=questions)
def test_no_window_of_any_scope_is_too_full_and_a_narrow_one_holds_up_nobody_else(
    clients: list[SharedBudget], wide: Rule, narrow: Rule, asked: list[tuple[int, int, int, int]]
) -> None:
    account = str(uuid4())
    inner = Rule(requests=narrow.requests, per=narrow.per, burst=narrow.burst, paths=("/narrow",))
    limits = Limits(rules=(wide, inner))
    all_grants: list[tuple[int, int]] = []
    narrow_grants: list[tuple[int, int]] = []
    for number, (client, _, max_wait, lane) in enumerate(asked):
        chosen = (0, 1) if number % 2 else (0,)
        answer = ask(clients[client], Asked(account, limits, lane, chosen=chosen), 1, max_wait)
        if answer.verdict is Verdict.GRANTED:
            all_grants.append((answer.at, 1))
            if number % 2:
                narrow_grants.append((answer.at, 1))
        assert answer.verdict in {Verdict.GRANTED, Verdict.TOO_EARLY, Verdict.AGAIN}
    assert fullest_window(all_grants, int(wide.per * SECOND)) <= (wide.requests or 0)
    assert fullest_window(narrow_grants, int(narrow.per * SECOND)) <= (narrow.requests or 0)


def test_a_wait_in_a_narrow_scope_reserves_nothing_in_the_wide_one(
    clients: list[SharedBudget], budget_valkey: Any
) -> None:
    account = str(uuid4())
    limits = Limits(requests=1000, per=1.0, rules=(Rule(requests=1, per=60.0, paths=("/slow",)),))
    both, wide = Asked(account, limits, chosen=(0, 1)), Asked(account, limits, chosen=(0,))
    assert ask(clients[0], both, 1, 0).verdict is Verdict.GRANTED
    waits = [ask(clients[0], both, 1, 90 * SECOND) for _ in range(5)]
    assert {answer.verdict for answer in waits} <= {Verdict.AGAIN, Verdict.TOO_EARLY}
    assert waits[1].place - waits[0].place >= 59 * SECOND, "they stand in a line"
    answer = ask(clients[1], wide, 1, 5000)
    assert answer.verdict is Verdict.GRANTED
    assert answer.at - answer.now < 5000


def test_a_slot_is_taken_in_every_scope_or_in_none(clients: list[SharedBudget]) -> None:
    account = str(uuid4())
    limits = Limits(concurrency=3, rules=(Rule(concurrency=1, methods=("POST",)),))
    both, wide = Asked(account, limits, chosen=(0, 1)), Asked(account, limits, chosen=(0,))
    question = clients[0].question(both, 0)
    held = clients[0].take(question, cost=1, max_wait=0, token="held")
    assert (held.verdict, held.slots) == (Verdict.GRANTED, 3)
    for _ in range(3):
        assert ask(clients[1], both, 1, 0).verdict is Verdict.NO_SLOT
    assert [row.slots for _, row in clients[0].rows(both)] == [1, 1]
    assert [ask(clients[1], wide, 1, 0).verdict for _ in range(3)] == [
        Verdict.GRANTED,
        Verdict.GRANTED,
        Verdict.NO_SLOT,
    ]
    clients[0].release(question, held, "held", succeeded=True)
    clients[0].question(both, 0)
    assert ask(clients[0], both, 1, 0).verdict is Verdict.GRANTED


@on_a_server
@example(rule=Rule(requests=10, per=0.3, burst=5), jump=90 * SECOND, cost=1)
@example(rule=Rule(requests=10, per=0.3), jump=90 * SECOND, cost=1)
@given(rule=rules, jump=st.integers(-100 * SECOND, 100 * SECOND), cost=st.integers(1, 4))
def test_a_clock_that_jumps_stops_nobody_for_longer_than_the_horizon(
    clients: list[SharedBudget], budget_valkey: Any, rule: Rule, jump: int, cost: int
) -> None:
    """What a jump leaves behind is state from another time: it is written there by hand."""
    account, limits = str(uuid4()), Limits(rules=(rule,))
    pace = pace_of(rule)
    assert pace is not None
    cost = _payable(cost, [pace])
    asked = Asked(account, limits, 0)
    assert ask(clients[0], asked, cost, 0).verdict is Verdict.GRANTED
    key = clients[0].question(asked, 0).scopes[0].key
    numbers = list(struct.unpack("<4d", budget_valkey.client.hget(key, "p")))
    numbers[0] += jump
    numbers[2] += jump
    if (ring := budget_valkey.client.get(f"{key}:w0")) is not None:
        ends = struct.unpack(f"<{len(ring) // 8}d", ring)
        budget_valkey.client.set(f"{key}:w0", struct.pack(f"<{len(ends)}d", *(end + jump for end in ends)))
    budget_valkey.client.hset(key, "p", struct.pack("<4d", *numbers))
    answer, again = ask(clients[1], asked, cost, 0), ask(clients[1], asked, cost, 0)
    assert answer.at - answer.now <= pace.horizon + pace.period + cost * pace.interval
    if answer.verdict is Verdict.TOO_EARLY:
        assert again.at == max(answer.at, again.now), "the wait runs off"


@on_a_server
@given(windows=windows, asked=questions, forgets=st.integers(0, 30))
def test_a_valkey_that_forgets_everything_in_between_lets_no_window_grow_too_full(
    clients: list[SharedBudget], budget_valkey: Any, windows: tuple[Rule, ...], asked: list[Any], forgets: int
) -> None:
    account, limits = str(uuid4()), Limits(rules=windows)
    grants: list[tuple[int, int]] = []
    try:
        for number, (client, wanted, _, lane) in enumerate(asked):
            if number == forgets:
                budget_valkey.client.flushall()
            paces = [pace for rule in windows if (pace := pace_of(rule, lane)) is not None]
            cost = _payable(wanted, paces)
            answer = ask(clients[client], Asked(account, limits, lane), cost, 0)
            if answer.verdict is Verdict.GRANTED:
                grants.append((answer.at, cost))
        for rule in windows:
            assert fullest_window(grants, int(rule.per * SECOND)) <= (rule.requests or 0)
    finally:
        budget_valkey.remember()


def test_a_limit_that_is_changed_under_way_goes_on_from_the_last_grant(clients: list[SharedBudget]) -> None:
    account = str(uuid4())
    before, after = Limits(requests=10, per=1.0, burst=10), Limits(requests=4, per=1.0)
    grants = [ask(clients[0], Asked(account, before), 1, 0) for _ in range(3)]
    assert {answer.verdict for answer in grants} == {Verdict.GRANTED}
    answer = ask(clients[1], Asked(account, after), 1, 0)
    assert answer.verdict is Verdict.TOO_EARLY
    assert 0.2 * SECOND < answer.at - grants[-1].at < 0.3 * SECOND


def test_after_an_outage_bursts_of_narrower_limits_begin_empty_too(clients: list[SharedBudget]) -> None:
    """What a worker sent by itself counts in them as well."""
    account = str(uuid4())
    limits = Limits(rules=(Rule(requests=5, per=60.0, burst=5, of="connection"),))
    asked = Asked(account, limits, connection="1")
    outage_ended = ask(clients[0], Asked(str(uuid4()), limits), 1, 0).now
    told = Told(unknown_until=outage_ended)
    assert ask(clients[0], asked, 1, 0, told).verdict is Verdict.TOO_EARLY


def test_what_must_be_remembered_for_long_is_not_shortened_by_what_matters_for_a_while(
    clients: list[SharedBudget], budget_valkey: Any
) -> None:
    account = str(uuid4())
    asked = Asked(account, Limits(requests=5, per=86_400.0, burst=5))
    key = clients[0].question(asked, 0).scopes[0].key
    now = ask(clients[0], asked, 1, 0).now
    before = budget_valkey.client.pttl(key)
    ask(clients[0], asked, 1, 0, Told(hold=now + 5 * SECOND, reason="429"))
    assert before - 5000 < budget_valkey.client.pttl(key)

    slow, pace = str(uuid4()), Limits(requests=10, per=1.0)
    clients[0].slow_down(slow, 300 * SECOND, 900 * SECOND, "")
    assert ask(clients[0], Asked(slow, pace), 1, 0).verdict is Verdict.GRANTED
    assert budget_valkey.client.pttl(clients[0].question(Asked(slow, pace), 0).scopes[0].key) > 900_000


def test_a_hold_that_was_lifted_by_hand_is_not_set_again_by_those_who_remember_it(
    clients: list[SharedBudget], budget_valkey: Any
) -> None:
    asked = Asked(str(uuid4()), Limits())
    until, reason, _ = clients[0].hold(asked.account, 60, "a mistake")
    remembered = Told(hold=until, reason=reason)
    assert ask(clients[1], asked, 1, 0, remembered).verdict is Verdict.HELD
    budget_valkey.client.hset(clients[0].question(asked, 0).scopes[0].key, "hold", 0)
    assert ask(clients[1], asked, 1, 0, remembered).verdict is Verdict.GRANTED
    clients[0].hold(asked.account, 60, "a new one")
    assert ask(clients[1], asked, 1, 0).verdict is Verdict.HELD
