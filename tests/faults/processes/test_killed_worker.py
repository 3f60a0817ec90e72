"""A worker is killed in the middle of a page, at each moment that can matter: nothing is lost, nothing comes twice."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from servers.installation.holding import StallingNetwork, held, partition_lock, wait_until_blocked
from servers.installation.plant import Plant
from servers.installation.stack import Stack
from servers.waiting import wait_until

from worker.engine.fetching.line import DEEP
from worker.engine.loading.sift import FEW_BYTES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

ENTITY = "work_orders"
FRESH = 100
"""New records, so five pages at least."""
LONG = "long " * (FEW_BYTES // 5 + 1)
QUEUED = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'test'"


@dataclass(frozen=True)
class Changes:
    """What the interrupted run is after, and counts in the end."""

    created: int = 0
    updated: int = 0


@pytest.fixture
def interrupted(plant: Plant) -> Plant:
    """In sync; what the interrupted run is after is the test's to say."""
    plant.connect(entities=(ENTITY,))
    plant.stack.wait_until_idle()
    return plant


@pytest.fixture
def network(interrupted: Plant) -> Iterator[StallingNetwork]:
    made = StallingNetwork(interrupted.stack.postgres.url)
    yield made
    made.close()


def test_killed_while_it_waits_for_the_page(interrupted: Plant) -> None:
    plant = interrupted
    wanted = change(plant, "small")
    plant.demo.fault(latency_ms=60_000)
    plant.request(ENTITY)
    wait_until(plant.demo.under_way, what="a request")
    kill_and_recover(plant, wanted)


@pytest.mark.parametrize(("way", "statement"), [("small", "WITH incoming"), ("new", "SET backend_pid")])
def test_killed_with_a_page_read_and_nothing_written(interrupted: Plant, way: str, statement: str) -> None:
    """A small page is one statement, which is on its way; of a large one, nothing was sent."""
    plant, stack = interrupted, interrupted.stack
    wanted = change(plant, way)
    plant.demo.fault(latency_ms=700)
    (run,) = plant.request(ENTITY)
    wait_until(plant.demo.under_way, what="a request")
    lock = "SELECT FROM runs WHERE id = %(id)s FOR UPDATE"
    with held(stack, partition_lock(plant.stream(ENTITY)["bucket"]) if way == "small" else lock, id=run.id):
        wait_until_blocked(stack, statement)
        assert not written(plant)
        stack.kill("main-1")
        end_waiting(stack)
    assert pages_of(plant) == 0
    kill_and_recover(plant, wanted)


@pytest.mark.parametrize(("way", "statement"), [("new", "COPY records_"), ("changed", "COPY staged_records")])
def test_killed_in_the_middle_of_a_copy(
    interrupted: Plant, network: StallingNetwork, way: str, statement: str
) -> None:
    """New rows stand in the partition then, uncommitted; changed ones are staged, and nobody waits for them."""
    plant, stack = interrupted, interrupted.stack
    wanted = change(plant, way)
    stack.kill("main-1")
    stack.start("main-1", environment={"HEADRACE_DATABASE_URL": network.url})
    network.arm(statement, after=len(LONG) * 3 // 2)
    plant.request(ENTITY)
    assert network.stalled.wait(20)
    wait_until(lambda: written(plant) == (way == "new"), what="what was carried")
    assert pages_of(plant) == 0
    ended = stack.logged("backend_ended")
    kill_and_recover(plant, wanted)
    assert stack.logged("backend_ended") == ended + 1, "the dead worker's COPY was left open"


@pytest.mark.parametrize(
    ("way", "first", "last"),
    [
        ("small", "WITH incoming", "WITH incoming"),
        ("new", "COPY records_", "WITH moved"),
        ("changed", "WITH written", "WITH moved"),
    ],
)
def test_killed_with_a_page_written_and_not_committed(
    interrupted: Plant, way: str, first: str, last: str
) -> None:
    plant, stack = interrupted, interrupted.stack
    wanted = change(plant, way)
    with held(stack, partition_lock(plant.stream(ENTITY)["bucket"])) as partition:
        (run,) = plant.request(ENTITY)
        wait_until_blocked(stack, first)
        with held(stack, "SELECT FROM runs WHERE id = %(id)s FOR UPDATE", id=run.id):
            partition.rollback()
            wait_until(lambda: written(plant), what="a page that is written")
            wait_until_blocked(stack, last)
            stack.kill("main-1")
            end_waiting(stack)
    assert pages_of(plant) == 0
    kill_and_recover(plant, wanted)


@pytest.mark.parametrize("half_way", [False, True])
def test_killed_in_a_group_of_pages_that_commits_together(interrupted: Plant, half_way: bool) -> None:
    """Before its first row, or with all rows written: the page before it stays, the group is read again, and no more."""
    plant, stack = interrupted, interrupted.stack
    wanted = change(plant, "small")
    lock = partition_lock(plant.stream(ENTITY)["bucket"])
    with stack.connect() as second:
        with held(stack, lock):
            (run,) = plant.request(ENTITY)
            wait_until_blocked(stack, "WITH incoming")
            wait_until(lambda: requests(plant) == 1 + DEEP, what="the pages ahead")
            wait_until(lambda: not plant.demo.under_way(), what="their answers")
            # In line behind the first page: it is let through, and what comes after it is not.
            following = threading.Thread(target=second.execute, args=(lock,))
            following.start()
            wait_until(lambda: stack.all(QUEUED), what="the second lock")
        following.join(20)
        wait_until_blocked(stack, "COPY records_")
        assert pages_of(plant) == 1
        assert not written(plant)
        if half_way:
            with held(stack, "SELECT FROM runs WHERE id = %(id)s FOR UPDATE", id=run.id):
                second.rollback()
                wait_until_blocked(stack, "WITH moved")
                assert written(plant)
                stack.kill("main-1")
                end_waiting(stack)
        else:
            stack.kill("main-1")
            end_waiting(stack)
    assert pages_of(plant) == 1
    repeated = kill_and_recover(plant, wanted)
    assert 0 < repeated < plant.ended(run.id)["pages"], "the first page was committed, and is asked for again"


def test_killed_with_every_page_committed_and_the_run_not_finished(interrupted: Plant) -> None:
    plant, stack = interrupted, interrupted.stack
    wanted = change(plant, "small")
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
    kill_and_recover(plant, wanted)


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


def change(plant: Plant, way: str) -> Changes:
    """Small pages of new records, or one page of new or changed ones that is too large for a single statement."""
    plant.demo.forget_stats()
    if way == "small":
        plant.demo.control("POST", f"bulk?entity={ENTITY}&count={FRESH}")
        plant.demo.fault(latency_ms=100)  # so that the first page is committed alone
        return Changes(created=FRESH)
    for key in sorted(plant.copy(ENTITY)[0])[:2]:
        if way == "changed":
            plant.demo.change(ENTITY, int(key), description=LONG)
        else:
            plant.demo.create(ENTITY, description=LONG)
    return Changes(updated=2) if way == "changed" else Changes(created=2)


def written(plant: Plant) -> bool:
    """Whether rows of a worker stand in the partition, uncommitted."""
    return bool(
        plant.stack.all(
            "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.relation = to_regclass(%(table)s) AND l.mode = 'RowExclusiveLock' AND l.granted"
            " AND a.backend_xid IS NOT NULL",
            table=plant.partition(ENTITY),
        )
    )


def end_waiting(stack: Stack) -> None:
    """What a dead worker sent last would still be carried out by the server: the power goes for both."""
    stack.all(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND application_name LIKE 'headrace worker%%'"
    )


def pages_of(plant: Plant) -> int:
    run = plant.open_run(ENTITY)
    assert run, "the run can't have ended"
    assert run["state"] == "running"
    pages: int = run["pages"]
    return pages


def requests(plant: Plant) -> int:
    return sum(plant.demo.statuses().values())


def kill_and_recover(plant: Plant, wanted: Changes) -> int:
    """The same run goes on with another worker, and the copy is right; how many requests were made once more."""
    plant.stack.kill("main-1")
    plant.demo.clear_faults()
    plant.stack.start("main-1")
    plant.stack.wait_until_idle()
    (run,) = [run for run in plant.history(ENTITY) if run["cause"] == "cli"]
    assert (run["state"], run["claim_no"]) == ("succeeded", 2)
    assert Changes(run["records_created"], run["records_updated"]) == wanted
    repeated: int = requests(plant) - run["pages"]
    assert repeated <= 1 + DEEP, "more than one page and those ahead of it"
    plant.assert_copy_equals_truth()
    return repeated
