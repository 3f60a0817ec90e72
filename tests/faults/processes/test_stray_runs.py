"""A run ends its process, or hangs in it: the others are not condemned, and the process is replaced."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from servers.installation.plant import Plant, connected
from servers.installation.stack import Stack
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]

STRAY = Path(__file__).parents[2] / "servers" / "installation" / "stray"
SETTINGS = {
    "HEADRACE_CONCURRENCY": "16",
    "HEADRACE_MAX_ATTEMPTS": "3",
    "HEADRACE_REQUEST_TIMEOUT": "1",  # so a run hangs after eight seconds without a page
    "HEADRACE_STALL": "1",
    "HEADRACE_STOP_WITHIN": "6",
}
ENTITY = "work_orders"
FLEET = "fleet-1"


@pytest.fixture
def plants(stack: Stack, tmp_path: Path) -> Iterator[list[Plant]]:
    """Four connections with sixteen streams, in sync, and one worker process that a fleet looks after."""
    with ExitStack() as opened:
        made = [opened.enter_context(connected(stack, tmp_path / str(number))) for number in range(4)]
        made[0].connect()
        made[1].connect()
        made[2].connect(entities=(ENTITY,))
        made[3].connect(entities=(ENTITY,))
        stack.wait_until_idle()
        stack.kill("main-1")
        stack.start(FLEET, environment={"PYTHONPATH": str(STRAY)})
        yield made
        stack.end(FLEET)


def test_a_run_that_ends_its_workers_fails_alone_and_its_fifteen_neighbours_succeed(
    plants: list[Plant],
) -> None:
    stack, stray = plants[0].stack, plants[2]
    lead_to(stray, "dies.test")
    for plant in plants:
        plant.demo.fault(latency_ms=500)
    (poison,) = stray.request(ENTITY)
    neighbours = [run.id for plant in plants if plant is not stray for run in plant.request()]
    assert len(neighbours) == 15
    stray.wait_for(poison.id, timeout=120)
    plants[0].wait_for(*neighbours, timeout=60)
    ended = stray.ended(poison.id)
    assert (ended["state"], ended["error_code"]) == ("failed", "ends_its_worker")
    assert "3 times in a row" in ended["error"]
    assert "exit code 9" in ended["error"]
    states = [stray.ended(run_id)["state"] for run_id in neighbours]
    assert states == ["succeeded"] * len(neighbours)
    died = stack.events(FLEET, "worker_ended")
    assert [event["exit_code"] for event in died] == [9, 9], "twice among others, and then never again"
    assert len(stack.events(FLEET, "alone_ended")) == 3


def test_a_run_that_hangs_is_taken_over_its_neighbours_go_on_and_its_process_is_replaced(
    plants: list[Plant],
) -> None:
    stack, stray, well = plants[0].stack, plants[2], plants[0]
    before = lead_to(stray, "hangs.test")
    (hung,) = stray.request(ENTITY)
    wait_until(lambda: running_worker(stray), what="the run that hangs")
    well.sync("sites")
    lead_to(stray, before)
    well.demo.control("POST", f"bulk?entity={ENTITY}&count=300")
    wait_until(lambda: stack.events(FLEET, "run_stalled"), 40, what="a stalled run")
    well.demo.fault(latency_ms=600)
    (under_way,) = well.request(ENTITY)
    wait_until(lambda: stack.events(FLEET, "run_hangs"), 40, what="the stacks of a process that hangs")
    well.demo.clear_faults()
    stray.wait_for(hung.id, under_way.id, timeout=60)
    taken_over = stray.ended(hung.id)
    assert (taken_over["state"], taken_over["claim_no"]) == ("succeeded", 2)
    neighbour = well.ended(under_way.id)
    assert (neighbour["state"], neighbour["attempt"]) == ("succeeded", 0)
    (said,) = stack.events(FLEET, "run_hangs")
    assert said["run_id"] == str(hung.id)
    assert "sitecustomize.py" in said["stack"]
    assert [event["exit_code"] for event in stack.events(FLEET, "worker_ended")][-1] == 76
    well.assert_copy_equals_truth()


def test_a_library_that_never_lets_go_of_pythons_lock_costs_its_process_and_nothing_else(
    plants: list[Plant],
) -> None:
    stack, stray, well = plants[0].stack, plants[2], plants[0]
    before = lead_to(stray, "holds.test")
    (held,) = stray.request(ENTITY)
    first = wait_until(lambda: running_worker(stray), what="the run that holds the lock")
    lead_to(stray, before)
    (beside,) = well.request(ENTITY)
    stray.wait_for(held.id, beside.id, timeout=60)
    assert (stray.ended(held.id)["state"], well.ended(beside.id)["state"]) == ("succeeded", "succeeded")
    assert stray.ended(held.id)["worker"] != first
    assert "sitecustomize.py" in stack.parts[FLEET].log.read_text(), "the stacks were not written"


def test_a_run_that_is_alone_is_not_blamed_for_the_end_of_the_worker_that_started_it(
    plants: list[Plant],
) -> None:
    """Its process outlives the worker for as long as it takes to give the run back."""
    stray, stack = plants[2], plants[0].stack
    run, before = hangs_alone(stray)
    worker = psutil.Process(int(str(running_worker(stray)).rpartition(":")[2]))
    (child,) = worker.children()
    worker.kill()
    lead_to(stray, before)
    wait_until(lambda: gone(child), 30, what="the end of the process that was alone")
    stray.wait_for(run, timeout=60)
    assert (stray.ended(run)["state"], stray.ended(run)["claim_no"]) == ("succeeded", 2)
    rescued = [event["run_id"] for event in stack.events("beat-1", "run_rescued")]
    assert str(run) not in rescued, "it counts as a failure of a run that is alone"


def test_a_run_that_is_alone_is_not_blamed_for_a_stop_that_it_outlasts(plants: list[Plant]) -> None:
    stray, stack = plants[2], plants[0].stack
    run, before = hangs_alone(stray)
    assert stack.end(FLEET, timeout=20), "it did not end by itself"
    row = wait_until(
        lambda: (row := stray.open_run(ENTITY)) and row["state"] == "queued" and row, what="a run given back"
    )
    assert (row["id"], row["attempt"], row["rescues"]) == (run, 0, 0)
    lead_to(stray, before)
    stack.again(FLEET)
    stray.wait_for(run, timeout=60)


def hangs_alone(plant: Plant) -> tuple[UUID, str]:
    """A run that has a process to itself and hangs there; and where its system was before."""
    before = lead_to(plant, "hangs.test")
    gone_alone = len(plant.stack.events(FLEET, "run_goes_alone"))
    plant.stack.database.run(
        "UPDATE streams SET last_error_code = 'ends_its_worker' WHERE id = %(id)s",
        {"id": plant.stream(ENTITY)["id"]},
    )
    (run,) = plant.request(ENTITY)
    wait_until(
        lambda: len(plant.stack.events(FLEET, "run_goes_alone")) > gone_alone, 30, what="a process of its own"
    )
    return run.id, before


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def lead_to(plant: Plant, host: str) -> str:
    """Send a connection's requests there; where they went before."""
    address = host if "://" in host else f"http://{host}:1"
    row = plant.stack.one(
        "SELECT settings ->> 'base_url' AS url FROM connections WHERE name = %(name)s", name=plant.name
    )
    plant.stack.database.run(
        "UPDATE connections SET settings = settings || jsonb_build_object('base_url', %(url)s::text)"
        " WHERE name = %(name)s",
        {"url": address, "name": plant.name},
    )
    return str(row["url"])


def running_worker(plant: Plant) -> str | None:
    run = plant.open_run(ENTITY)
    return run["worker"] if run and run["state"] == "running" else None
