"""Postgres crashes amid webhooks' runs, and forgets what didn't wait for the disk: claims, ends. What was answered is done.

How many seconds of such commits a crash takes back is `wal_writer_delay`, here the longest that there is.
"""

import http.client
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.rows import DictRow
from servers.installation.plant import Plant
from servers.installation.stack import Stack
from servers.systems.bursts import Burst, bursting, prove_by_secret, signed
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ENTITY = "work_orders"
SETTINGS = {"HEADRACE_PORT": "0"}
API, WORKER, BEAT = "api-1", "main-1", "beat-1"
MANY = 20
CRASHES = 2
MOST_TRIES = 5
"""Any commit that waits for the disk takes those before it along: a lease that is renewed just then, a sign of life."""


@pytest.fixture
def keys(plant: Plant, tmp_path: Path) -> Iterator[list[int]]:
    """Work orders that are in the copy, of whose changes only webhooks tell. An API listens."""
    forget_as_much_as_can_be(plant.stack)
    plant.connect(entities=(ENTITY,))
    prove_by_secret(plant, tmp_path)
    plant.stack.ensure(API)
    plant.stack.wait_until_idle()
    yield sorted(map(int, plant.demo.truth(ENTITY)[0]))[:MANY]
    plant.stack.ensure()


def test_crashes_amid_a_burst_lose_no_webhook_that_was_answered_and_take_no_record_back(
    plant: Plant, keys: list[int]
) -> None:
    answered: set[str] = set()
    plant.demo.fault(latency_ms=20)
    for crash_no in range(CRASHES):
        for key in keys:
            plant.demo.change(ENTITY, key, title=f"change {crash_no + 1}")
        with bursting(port(plant), plant, keys) as burst:
            wait_until(lambda: len(burst.answered) > 2 * MANY and done(plant), 20, what="runs amid a burst")
            before = changes(plant)
            crash(plant.stack, burst)
        plant.stack.restart_postgres()
        after = changes(plant)
        assert all(after[key] >= before[key] for key in before)
        answered |= burst.answered.keys()
    plant.demo.clear_faults()
    tell(plant, keys[0])
    assert answered <= stored(plant)
    assert_all_done(plant)
    assert set(changes(plant).values()) == {0, CRASHES}


def test_a_claim_that_a_crash_takes_back_is_made_anew_and_who_made_it_writes_nothing(
    plant: Plant, keys: list[int]
) -> None:
    stack, key = plant.stack, keys[0]
    lost = len(stack.events(WORKER, "run_lost"))
    plant.demo.change(ENTITY, key, title="change 1")
    for _ in range(MOST_TRIES):
        stack.freeze(BEAT)
        plant.demo.fault(latency_ms=1500)
        tell(plant, key)
        claimed = wait_until(lambda: run_of_events(plant, "running"), what="a claim")
        crash(stack)
        stack.freeze(WORKER)
        stack.restart_postgres()
        if forgotten := run_of_events(plant, "queued"):
            break
        carry_on(plant)
    assert forgotten, "Postgres forgot no claim"
    assert (forgotten["id"], forgotten["claim_no"]) == (claimed["id"], 0)
    plant.demo.change(ENTITY, key, title="change 2")
    tell(plant, key)
    stack.start("main-2")
    stack.thaw(BEAT)
    again = wait_until(lambda: run_of_events(plant, "running"), 20, what="another claim")
    stack.thaw(WORKER)  # with an answer of before the crash in its hands, for a claim that nobody made
    wait_until(lambda: stack.events(WORKER, "run_lost")[lost:], 20, what="a worker that lost its run")
    assert (again["id"], again["worker"] != claimed["worker"]) == (claimed["id"], True)
    plant.demo.clear_faults()
    assert_all_done(plant)
    assert plant.ended(claimed["id"])["worker"] == again["worker"]
    assert changes(plant)[str(key)] == 2


def test_an_end_that_a_crash_takes_back_is_found_by_its_lease_and_holds_up_what_comes_next_no_longer(
    plant: Plant, keys: list[int]
) -> None:
    stack, key = plant.stack, keys[0]
    for number in range(1, MOST_TRIES + 1):
        stack.freeze(BEAT)
        plant.demo.change(ENTITY, key, title=f"change {number}")
        tell(plant, key)
        wait_until_done(plant)
        crash(stack)
        stack.restart_postgres()
        assert changes(plant)[str(key)] == number
        if forgotten := run_of_events(plant, "running"):
            break
    assert forgotten, "Postgres forgot no end"
    plant.demo.change(ENTITY, key, title="change 9")
    tell(plant, key)
    stack.thaw(BEAT)
    assert_all_done(plant)
    assert changes(plant)[str(key)] == 9


def forget_as_much_as_can_be(stack: Stack) -> None:
    with stack.connect() as connection:
        connection.autocommit = True
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")


def crash(stack: Stack, burst: Burst | None = None) -> None:
    """As `pg_ctl stop -m immediate`: what is in memory alone is gone."""
    child = stack.postgres.child
    assert child is not None
    assert child.stop(signal.SIGQUIT, 10)
    if burst is not None:
        burst.stop.set()


def port(plant: Plant) -> int:
    found: int = plant.stack.events(API, "api_listens")[-1]["port"]
    return found


def tell(plant: Plant, key: int) -> None:
    """One webhook, said again until it is answered: the API has just lost its connections, too."""
    hook = signed(key)

    def answered() -> bool:
        line = http.client.HTTPConnection("127.0.0.1", port(plant), timeout=20)
        line.request("POST", f"/webhooks/{plant.name}", hook.body, hook.headers)
        status = line.getresponse().status
        line.close()
        return status == 200

    wait_until(answered, 20, what="an API that answers")


def changes(plant: Plant) -> dict[str, int]:
    """By key, which change of its record the copy holds."""
    copied, _ = plant.copy(ENTITY)
    found = {key: re.fullmatch(r"change (\d+)", str(row["title"])) for key, row in copied.items()}
    return {key: int(match[1]) if match else 0 for key, match in found.items()}


def stored(plant: Plant) -> set[str]:
    return {row["event_key"] for row in events(plant)}


def done(plant: Plant) -> int:
    return sum(row["state"] == "done" for row in events(plant))


def events(plant: Plant) -> list[DictRow]:
    return plant.stack.all("SELECT * FROM events WHERE stream_id = %(id)s", id=plant.stream(ENTITY)["id"])


def run_of_events(plant: Plant, state: str | None = None) -> DictRow | None:
    """The open one, if there is one in this state."""
    run = plant.open_run(ENTITY, "events")
    return run if run is not None and state in {None, run["state"]} else None


def carry_on(plant: Plant) -> None:
    """Let all that is frozen do what there is to do."""
    plant.demo.clear_faults()
    for name in (WORKER, BEAT):
        plant.stack.thaw(name)
    wait_until_done(plant)


def wait_until_done(plant: Plant) -> None:
    wait_until(
        lambda: {row["state"] for row in events(plant)} == {"done"} and not run_of_events(plant),
        30,
        what="the end of all events and of their runs",
    )


def assert_all_done(plant: Plant) -> None:
    """Every event is done, no run is left, and what the copy holds is what the system does."""
    wait_until_done(plant)
    plant.assert_copy_equals_truth()
