"""Messages get lost, come twice, or come from two beats: the rows decide, and nothing waits for long."""

import pytest
from servers.installation.plant import Plant
from servers.installation.stack import Stack
from servers.waiting import wait_until

from worker.runs.wakeups.publish import publish

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

CONNECTIONS = 30
ENTITY = "vendors"


def test_hundreds_of_queued_runs_are_carried_out_within_seconds_after_all_messages_are_lost(
    plant: Plant,
) -> None:
    """Nobody restarts anything: the connections stay open, and only what Valkey knew is gone."""
    stack = plant.stack
    stack.freeze("main-1")  # or it would be faster than we are
    for number in range(CONNECTIONS):
        Plant(stack, plant.demo, f"{plant.name}-{number}").connect()
    stack.all("UPDATE streams SET history_done_at = now() RETURNING id")  # one request each is enough here
    wait_until(lambda: waiting(stack) == 7 * CONNECTIONS, what="queued runs")
    wait_until(lambda: stack.redis().llen("headrace:sync.plant"), what="messages")
    stack.flush_valkey()
    stack.thaw("main-1")
    stack.wait_until_idle(15)
    assert (
        stack.one("SELECT count(*) AS n FROM run_history WHERE state = 'succeeded'")["n"] == 7 * CONNECTIONS
    )


def test_a_request_whose_message_was_lost_begins_within_seconds(plant: Plant) -> None:
    stack = plant.stack
    plant.connect(entities=(ENTITY,))
    stack.wait_until_idle()
    stack.freeze("main-1")
    (run,) = plant.request(ENTITY)
    stack.flush_valkey()
    stack.thaw("main-1")
    plant.wait_for(run.id, timeout=8)


def test_two_beats_at_once_make_one_run_of_each_due_stream(plant: Plant) -> None:
    stack = plant.stack
    stack.start("beat-2", "beat-3")
    plant.connect()
    stack.wait_until_idle()
    for _ in range(3):
        stack.all("UPDATE streams SET next_run_at = now() RETURNING id")
        stack.wait_until_idle()
    for entity in plant.entities():
        causes = [run["cause"] for run in plant.history(entity)]
        assert causes.count("schedule") == 4
    plant.assert_copy_equals_truth()


def test_a_message_that_is_delivered_many_times_is_carried_out_once(plant: Plant) -> None:
    stack = plant.stack
    stack.start("main-2")
    plant.connect(entities=(ENTITY,))
    stack.wait_until_idle()
    plant.demo.forget_stats()
    (run,) = plant.request(ENTITY)
    assert publish([(run.id, run.queue)] * 50) == 50
    plant.wait_for(run.id)
    assert publish([(run.id, run.queue)] * 50) == 50
    wait_until(lambda: not stack.redis().llen(f"headrace:{run.queue}"), what="an empty queue")
    ended = plant.ended(run.id)
    assert (ended["state"], ended["claim_no"], ended["pages"]) == ("succeeded", 1, 1)
    assert sum(plant.demo.statuses().values()) == 1
    finished = [line for part in ("main-1", "main-2") for line in stack.events(part, "run_finished")]
    assert [line["run_id"] for line in finished].count(str(run.id)) == 1


def waiting(stack: Stack) -> int:
    count: int = stack.one("SELECT count(*) AS n FROM runs WHERE state = 'queued'")["n"]
    return count
