"""A worker is killed in the middle of a page, at each moment that can matter: nothing is lost, nothing comes twice."""

from collections.abc import Iterator

import pytest
from servers.holding import StallingNetwork, held, partition_lock, wait_until_blocked
from servers.plant import Plant
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

ENTITY = "work_orders"
FRESH = 100
"""Changed records, so five pages, that the interrupted run is after."""


@pytest.fixture
def interrupted(plant: Plant) -> Plant:
    """In sync, with a hundred changes at the source and a run wanted for them."""
    plant.connect(entities=(ENTITY,))
    plant.stack.wait_until_idle()
    plant.demo.control("POST", f"bulk?entity={ENTITY}&count={FRESH}")
    return plant


@pytest.fixture
def network(interrupted: Plant) -> Iterator[StallingNetwork]:
    made = StallingNetwork(interrupted.stack.postgres.url)
    yield made
    made.close()


def test_killed_while_it_waits_for_the_page(interrupted: Plant) -> None:
    plant = interrupted
    plant.demo.fault(latency_ms=60_000)
    plant.request(ENTITY)
    wait_until(plant.demo.under_way, what="a request")
    kill_and_recover(plant)


def test_killed_with_a_page_read_and_nothing_staged(interrupted: Plant) -> None:
    plant, stack = interrupted, interrupted.stack
    plant.demo.fault(latency_ms=700)
    (run,) = plant.request(ENTITY)
    wait_until(plant.demo.under_way, what="a request")
    with held(stack, "SELECT FROM runs WHERE id = %(id)s FOR UPDATE", id=run.id):
        wait_until_blocked(stack, "SET backend_pid")
        stack.kill("main-1")
    kill_and_recover(plant)


def test_killed_in_the_middle_of_a_copy(interrupted: Plant, network: StallingNetwork) -> None:
    plant, stack = interrupted, interrupted.stack
    stack.kill("main-1")
    stack.start("main-1", environment={"HEADRACE_DATABASE_URL": network.url})
    network.arm()
    plant.request(ENTITY)
    assert network.stalled.wait(20)
    ended = stack.logged("backend_ended")
    kill_and_recover(plant)
    assert stack.logged("backend_ended") == ended + 1, "the dead worker's COPY was left open"


def test_killed_with_all_rows_staged(interrupted: Plant) -> None:
    plant, stack = interrupted, interrupted.stack
    with held(stack, partition_lock(plant.stream(ENTITY)["bucket"])):
        plant.request(ENTITY)
        wait_until_blocked(stack, "WITH incoming")
        stack.kill("main-1")
    kill_and_recover(plant)


def test_killed_with_a_page_written_and_not_committed(interrupted: Plant) -> None:
    plant, stack = interrupted, interrupted.stack
    with held(stack, partition_lock(plant.stream(ENTITY)["bucket"])) as partition:
        (run,) = plant.request(ENTITY)
        wait_until_blocked(stack, "WITH incoming")
        with held(stack, "SELECT FROM runs WHERE id = %(id)s FOR UPDATE", id=run.id):
            partition.rollback()
            wait_until(
                lambda: stack.all(
                    "SELECT FROM pg_locks WHERE relation = to_regclass(%(table)s) AND granted"
                    " AND mode = 'RowExclusiveLock'",
                    table=f"records_{plant.stream(ENTITY)['bucket']:02d}",
                ),
                what="a page that is written",
            )
            wait_until_blocked(stack, "WITH incoming")
            stack.kill("main-1")
    assert plant.open_run(ENTITY), "the page was not committed, so the run can't have ended"
    kill_and_recover(plant)


def test_killed_with_every_page_committed_and_the_run_not_finished(interrupted: Plant) -> None:
    plant, stack = interrupted, interrupted.stack
    stream = plant.stream(ENTITY)["id"]
    with held(stack, "SELECT FROM streams WHERE id = %(id)s FOR NO KEY UPDATE", id=stream) as lock:
        plant.request(ENTITY)
        wait_until_blocked(stack, "DELETE FROM runs")
        stack.kill("main-1")
        # The statement is on its way and the server would carry it out: here the whole answer is lost, instead.
        lock.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query LIKE '%%DELETE FROM runs%%'"
        )
    run = plant.open_run(ENTITY)
    assert run
    assert run["state"] == "running"
    assert run["records_created"] == FRESH
    kill_and_recover(plant)


def test_killed_in_the_history(plant: Plant) -> None:
    stack = plant.stack
    plant.demo.fault(latency_ms=100)
    plant.connect(entities=(ENTITY,))
    wait_until(
        lambda: (run := plant.open_run(ENTITY, "history")) and run["pages"] >= 3, 20, what="three pages"
    )
    stack.kill("bulk-1")
    plant.demo.clear_faults()
    stack.again("bulk-1")
    plant.assert_copy_equals_truth()
    assert [run["claim_no"] for run in plant.history(ENTITY) if run["track"] == "history"] == [2]


def kill_and_recover(plant: Plant) -> None:
    """After the kill the same run goes on with another worker, reads at most one page again, and the copy is right."""
    plant.stack.kill("main-1")
    plant.demo.clear_faults()
    plant.stack.start("main-1")
    plant.stack.wait_until_idle()
    (run,) = [run for run in plant.history(ENTITY) if run["cause"] == "cli"]
    assert (run["state"], run["claim_no"]) == ("succeeded", 2)
    assert run["records_created"] == FRESH
    plant.assert_copy_equals_truth()
