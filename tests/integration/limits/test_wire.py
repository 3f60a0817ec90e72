"""The connections to Valkey: lost, refused, closed from afar, a hundred times over. No answer goes to another question."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from servers.waiting import wait_until

from worker.limits.budget import Budgets
from worker.limits.policy import SECOND, Limits, Verdict
from worker.limits.valkey.question import Asked, Patience
from worker.limits.valkey.shared import SharedBudget

pytestmark = pytest.mark.integration

Make = Callable[..., Budgets]


@pytest.fixture
def shared(budget_valkey: Any) -> Iterator[SharedBudget]:
    found = SharedBudget(budget_valkey.url, patience=Patience(short_wait=0, lease=60 * SECOND, stored=False))
    yield found
    found.close()


def cut_all(budget_valkey: Any) -> None:
    budget_valkey.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def ask(shared: SharedBudget, account: str, limits: Limits, token: str = "") -> Any:
    question = shared.question(Asked(account, limits), 0)
    return question, shared.take(question, cost=1, max_wait=0, token=token or uuid4().hex)


def test_a_process_that_was_cut_off_many_times_still_gets_a_connection(
    make: Make, account: str, budget_valkey: Any
) -> None:
    """Each attempt in a long outage makes one, too."""
    budgets = make()
    for _ in range(130):
        with budgets.permit(account, Limits()):
            cut_all(budget_valkey)
    assert not budgets._asker.outage.active
    assert budgets.state(account).shared


def test_a_slot_given_back_on_a_connection_that_was_closed_is_no_outage_and_is_given_back_later(
    shared: SharedBudget, account: str, budget_valkey: Any
) -> None:
    limits = Limits(concurrency=2)
    for token in ("one", "other"):
        ask(shared, account, limits, token)
    (scope,) = shared.question(Asked(account, limits), 0).scopes
    cut_all(budget_valkey)
    for token in ("one", "other"):  # the first is swallowed by the kernel, the second finds the pipe broken
        shared.free(scope.slots, token)
    assert ask(shared, "another" + account, Limits())[1].verdict is Verdict.GRANTED
    for slots, token in shared.unsure():
        shared.free(slots, token)
    ask(shared, "another" + account, Limits())
    assert budget_valkey.client.zcard(scope.slots) == 0


def test_a_server_that_became_a_replica_is_left_at_once_by_every_connection(
    shared: SharedBudget, account: str, budget_valkey: Any
) -> None:
    limits = Limits(requests=10, per=1.0)
    assert ask(shared, account, limits)[1].verdict is Verdict.GRANTED
    shared.hold("held" + account, 1, "429")
    names = [one["id"] for one in budget_valkey.client.client_list() if one["name"] == "headrace-budget"]
    budget_valkey.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(redis.ResponseError, match="READONLY"):
            ask(shared, account, limits)
        with pytest.raises(redis.ResponseError, match="read only"):
            shared.hold("held" + account, 2, "429")
        wait_until(lambda: {one["id"] for one in budget_valkey.client.client_list()}.isdisjoint(names), 5)
    finally:
        budget_valkey.client.execute_command("REPLICAOF", "NO", "ONE")
    assert ask(shared, account, limits)[1].verdict in {Verdict.GRANTED, Verdict.TOO_EARLY}


def test_scripts_that_were_forgotten_are_loaded_again_where_they_are_asked_for(
    shared: SharedBudget, account: str, budget_valkey: Any
) -> None:
    ask(shared, account, Limits())
    budget_valkey.client.script_flush()
    assert ask(shared, account, Limits())[1].verdict is Verdict.GRANTED


def test_an_answer_that_came_too_late_is_never_read_as_that_to_the_next_question(
    shared: SharedBudget, account: str, budget_valkey: Any
) -> None:
    ask(shared, account, Limits())
    line = shared._wire._idle[-1]
    line.socket.settimeout(0.05)
    budget_valkey.client.execute_command("CLIENT", "PAUSE", "200", "ALL")
    with pytest.raises(TimeoutError):
        ask(shared, account, Limits(concurrency=1))
    assert line not in shared._wire._idle
    question, answer = ask(shared, "another" + account, Limits(concurrency=1), "mine")
    assert (answer.verdict, answer.slots) == (Verdict.GRANTED, 1)
    assert budget_valkey.client.zscore(question.scopes[0].slots, "mine")


def test_threads_that_look_for_unsure_slots_at_once_get_each_once(shared: SharedBudget) -> None:
    class Shrinking(deque[Any]):
        """Another thread takes one between a look at the length and the taking."""

        def __len__(self) -> int:
            return super().__len__() + 1

    shared._wire.lost = Shrinking([("slots", "a"), ("slots", "b")])
    assert shared.unsure() == [("slots", "a"), ("slots", "b")]
    assert shared.unsure() == []
