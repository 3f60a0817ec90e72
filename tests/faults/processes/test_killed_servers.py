"""What happens when a beat, Valkey or Postgres is killed, or anything at all at a moment that nobody chose?

`HEADRACE_FAULT_ROUNDS=20` tries more rounds of the last kind, `HEADRACE_FAULT_SEED` others.
"""

import os
import threading
from contextlib import suppress
from random import Random

import psycopg
import pytest
from servers.installation.holding import held, partition_lock, wait_until_blocked
from servers.installation.plant import Plant
from servers.installation.stack import PARTS, Stack
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ENTITY = "work_orders"
FIRST = int(os.environ.get("HEADRACE_FAULT_SEED", "1"))
ROUNDS = int(os.environ.get("HEADRACE_FAULT_ROUNDS", "1"))


def test_a_beat_that_is_killed_again_and_again_asks_for_each_due_run_once(plant: Plant) -> None:
    stack = plant.stack
    stack.kill("beat-1")
    plant.connect()
    for _ in range(2):
        stack.again("beat-1")
        stack.kill("beat-1")
    stack.again("beat-1")
    stack.wait_until_idle()
    for entity in plant.entities():
        assert [run["cause"] for run in plant.history(entity)].count("schedule") == 1
    plant.assert_copy_equals_truth()


def test_without_a_beat_what_is_asked_for_is_done_and_what_is_due_waits(plant: Plant) -> None:
    stack = plant.stack
    stack.kill("beat-1")
    plant.connect(entities=(ENTITY,))
    (run,) = plant.sync(ENTITY)
    assert run["state"] == "succeeded"
    assert stack.one(
        "SELECT next_run_at <= now() AS due FROM streams WHERE id = %(id)s", id=run["stream_id"]
    )["due"]
    stack.again("beat-1")
    plant.assert_copy_equals_truth()


def test_valkey_killed_with_all_it_knew_while_runs_are_under_way(plant: Plant) -> None:
    stack = plant.stack
    plant.demo.fault(latency_ms=100)
    plant.connect()
    wait_until(lambda: (run := plant.open_run(ENTITY, "history")) and run["pages"], what="a run under way")
    stack.kill_valkey()
    stack.valkey.start()
    plant.demo.clear_faults()
    plant.assert_copy_equals_truth()


def test_postgres_killed_while_a_page_is_written(plant: Plant) -> None:
    stack = plant.stack
    plant.connect(entities=(ENTITY,))
    stack.wait_until_idle()
    plant.demo.control("POST", f"bulk?entity={ENTITY}&count=100")
    with suppress(psycopg.OperationalError), held(stack, partition_lock(plant.stream(ENTITY)["bucket"])):
        (run,) = plant.request(ENTITY)
        wait_until_blocked(stack, "WITH incoming")
        stack.kill_postgres()
    stack.restart_postgres()
    plant.request(ENTITY)  # whoever asks again doesn't wait for the second attempt
    plant.assert_copy_equals_truth()
    created = [other["records_created"] for other in plant.history(ENTITY) if other["id"] >= run.id]
    assert sum(created) == 100


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_whatever_is_killed_at_whatever_moment_the_copy_equals_the_truth(plant: Plant, seed: int) -> None:
    print(f"HEADRACE_FAULT_SEED={seed}")  # noqa: T201 - a failure says how to have it again
    stack, dice = plant.stack, Random(seed)
    plant.demo.thaw(rate=50)
    plant.connect()
    victims = [*PARTS, "valkey", "postgres", dice.choice(PARTS[:2])]
    dice.shuffle(victims)
    for victim in victims:
        plant.request(*dice.sample(plant.entities(), 3))
        threading.Event().wait(dice.uniform(0.0, 0.5))  # no condition: the moment is the dice's
        kill(stack, victim)
    plant.assert_copy_equals_truth()


def kill(stack: Stack, victim: str) -> None:
    """Kill it, and start it again at once."""
    print("killed:", victim)  # noqa: T201 - as above
    if victim == "valkey":
        stack.kill_valkey()
        stack.valkey.start()
    elif victim == "postgres":
        stack.kill_postgres()
        stack.restart_postgres()
    else:
        stack.kill(victim)
        stack.again(victim)
