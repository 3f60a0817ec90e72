"""A worker falls silent without dying, or is asked to go: its run goes on elsewhere, and it writes nothing more."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from servers.installation.holding import StallingNetwork
from servers.installation.plant import Plant
from servers.installation.stack import Stack
from servers.waiting import wait_until

from worker.engine.fetching.line import DEEP
from worker.engine.loading.sift import FEW_BYTES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

ENTITY = "work_orders"
LONG = "long " * (FEW_BYTES // 5 + 1)
WRITES = (
    "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.relation = to_regclass(%(table)s) AND l.mode = 'RowExclusiveLock' AND l.granted"
    " AND a.backend_xid IS NOT NULL"
)


def test_a_worker_stopped_in_mid_copy_is_overtaken_and_refused_when_it_wakes(plant: Plant) -> None:
    """Its page was asked for before a change that its successor sees. Should it be written after all, it would show."""
    plant.connect(entities=(ENTITY,))
    plant.stack.wait_until_idle()
    with stalled_worker(plant.stack, "main-1") as network:
        # A smaller page would be one statement, which holds nothing before it runs.
        plant.demo.change(ENTITY, 7, description=LONG)
        plant.demo.change(ENTITY, 7, title="as the stopped worker read it")
        network.arm("COPY staged_records")
        overtake(plant, network, changed="7")
    plant.stack.kill("main-1")
    plant.assert_copy_equals_truth()


def test_a_worker_stopped_with_new_records_half_way_into_the_partition_holds_nobody_up(plant: Plant) -> None:
    """Its rows stand in the partition, uncommitted: whoever writes their keys would wait for them without end."""
    stack = plant.stack
    plant.connect(entities=(ENTITY,))
    stack.wait_until_idle()
    with stalled_worker(stack, "main-1") as network:
        first, _ = (
            plant.demo.create(ENTITY, title="as the stopped worker read it", description=LONG)
            for _ in range(2)
        )
        network.arm("COPY records_", after=len(LONG) * 3 // 2)
        overtake(plant, network, changed=str(first["id"]), holds=True)
    stack.kill("main-1")
    plant.assert_copy_equals_truth()


def overtake(plant: Plant, network: StallingNetwork, *, changed: str, holds: bool = False) -> None:
    """Stop the worker in the COPY, past its lease; another does its work; then it wakes. `holds`: rows are written."""
    stack = plant.stack
    (run,) = plant.request(ENTITY)
    assert network.stalled.wait(20)
    stack.freeze("main-1")
    if holds:
        wait_until(lambda: stack.all(WRITES, table=plant.partition(ENTITY)), what="rows in the partition")
    before = stack.logged("backend_ended")
    plant.demo.change(ENTITY, int(changed), title="as it is")
    stack.start("main-2")
    plant.wait_for(run.id)
    ended = plant.ended(run.id)
    assert (ended["state"], ended["claim_no"]) == ("succeeded", 2)
    assert ended["worker"].endswith(str(stack.parts["main-2"].child.pid))
    assert stack.logged("backend_ended") == before + 1
    copied = fingerprint(plant)
    network.go_on()
    stack.thaw("main-1")
    wait_until(lambda: said_it_lost(stack, "main-1", run.id), 20, what="the word of the worker that woke")
    assert fingerprint(plant) == copied
    assert plant.copy(ENTITY)[0][changed]["title"] == "as it is"


def test_a_worker_stopped_while_it_waits_for_a_page_loads_nothing_when_it_wakes(plant: Plant) -> None:
    stack = plant.stack
    plant.connect(entities=(ENTITY,))
    stack.wait_until_idle()
    plant.demo.change(ENTITY, 7, title="as it is")
    plant.demo.fault(latency_ms=1000, count=1)
    (run,) = plant.request(ENTITY)
    wait_until(plant.demo.under_way, what="a request")
    stack.freeze("main-1")
    stack.start("main-2")
    plant.wait_for(run.id)
    copied = fingerprint(plant)
    stack.thaw("main-1")
    wait_until(lambda: said_it_lost(stack, "main-1", run.id), 20, what="the word of the worker that woke")
    assert fingerprint(plant) == copied
    assert plant.ended(run.id)["records_updated"] == 1
    plant.assert_copy_equals_truth()


def test_a_worker_that_is_asked_to_stop_gives_its_run_back_at_a_page_boundary(plant: Plant) -> None:
    """Another goes on from the same page: the source sees each page once, the few fetched ahead at most twice."""
    stack = plant.stack
    plant.connect(entities=(ENTITY,))
    stack.wait_until_idle()
    plant.demo.control("POST", f"bulk?entity={ENTITY}&count=200")
    plant.demo.forget_stats()
    plant.demo.fault(latency_ms=200)
    (run,) = plant.request(ENTITY)
    wait_until(lambda: (row := plant.open_run(ENTITY)) and row["pages"] >= 2, 20, what="two pages")
    assert stack.end("main-1", timeout=10), "it did not end by itself within ten seconds"
    assert stack.parts["main-1"].child.exit_code == 0
    row = plant.open_run(ENTITY)
    assert row
    assert (row["state"], row["wait_reason"], row["attempt"]) == ("queued", "drain", 0)
    plant.demo.clear_faults()
    stack.start("main-2")
    plant.wait_for(run.id)
    ended = plant.ended(run.id)
    assert (ended["state"], ended["attempt"], ended["claim_no"]) == ("succeeded", 0, 2)
    assert ended["pages"] >= 10
    assert 0 <= sum(plant.demo.statuses().values()) - ended["pages"] <= DEEP
    stack.start("main-1")
    plant.assert_copy_equals_truth()


@contextmanager
def stalled_worker(stack: Stack, name: str) -> Iterator[StallingNetwork]:
    """The worker, started anew behind a network that can stall."""
    network = StallingNetwork(stack.postgres.url)
    stack.kill(name)
    try:
        stack.start(name, environment={"HEADRACE_DATABASE_URL": network.url})
        yield network
    finally:
        network.close()


def fingerprint(plant: Plant) -> list[dict[str, object]]:
    """All that a stale write could change, down to the transaction that wrote it."""
    stream = plant.stream(ENTITY)
    records = plant.stack.all(
        "SELECT key, content_hash, observed_at, change_seq, change_xid::text FROM records"
        " WHERE bucket = %(bucket)s AND stream_id = %(stream)s ORDER BY key",
        bucket=stream["bucket"],
        stream=stream["id"],
    )
    cursors = plant.stack.all(
        "SELECT * FROM cursors WHERE stream_id = %(id)s ORDER BY track", id=stream["id"]
    )
    return [*records, *cursors, *plant.history(ENTITY)]


def said_it_lost(stack: Stack, name: str, run_id: object) -> bool:
    return any(line.get("run_id") == str(run_id) for line in stack.events(name, "run_lost"))
