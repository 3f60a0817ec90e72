"""Webhooks go through the real receiver to a worker, which may be killed amid them: each is done, and its row is there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.installation.application import Application
from servers.installation.plant import Plant
from servers.rows.events import Events
from servers.systems.bursts import prove_by_secret, signed
from servers.waiting import wait_until

from scheduler.connections.systems import forget_systems

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ENTITY = "work_orders"
MANY = 60
RECOVERED = 15.0
Tell = Callable[[int], None]


@pytest.fixture
def tell(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tell]:
    """Sends a signed webhook about a work order to an API, whose copy is up to date and has no other run."""
    monkeypatch.setenv("HEADRACE_CONNECTORS", str(plant.stack.connectors))
    forget_systems()
    plant.connect(entities=(ENTITY,))
    plant.stack.wait_until_idle()
    prove_by_secret(plant, tmp_path)
    api = Application(plant.stack.database).shown(None)

    def sent(key: int) -> None:
        hook = signed(key)
        answer = api.ask("POST", f"/webhooks/{plant.name}", content=hook.body, headers=hook.headers)
        assert answer.status_code == 200, answer.text

    yield sent
    api.end()
    forget_systems()


@pytest.fixture
def events(tell: Tell, plant: Plant) -> Events:
    """Those that came."""
    return Events(plant.stack.database, plant.stream(ENTITY)["id"])


def done(events: Events) -> int:
    return sum(state == "done" for _, state, _ in events.states())


def test_a_worker_killed_amid_events_leaves_none_undone(plant: Plant, tell: Tell, events: Events) -> None:
    keys = sorted(plant.demo.truth(ENTITY)[0], key=int)[:MANY]
    for key in keys:
        plant.demo.change(ENTITY, int(key), title=f"told of {key}")
    plant.demo.fault(latency_ms=300)
    for key in keys:
        tell(int(key))
    wait_until(lambda: done(events) > 0, 20, what="the first of the events")
    plant.stack.kill("main-1")
    before = done(events)
    assert before < MANY, "it was killed too late"
    plant.demo.clear_faults()
    plant.stack.start("main-1")
    wait_until(lambda: done(events) == MANY, RECOVERED, what="the other events")
    assert {outcome for _, _, outcome in events.states()} == {"updated"}
    copied, _ = plant.copy(ENTITY)
    assert all(copied[key]["title"] == f"told of {key}" for key in keys)
    plant.assert_copy_equals_truth()


def test_a_burst_about_one_record_is_few_questions_and_its_last_word_counts(
    plant: Plant, tell: Tell, events: Events
) -> None:
    plant.demo.forget_stats()
    plant.demo.fault(latency_ms=200)
    for number in range(30):
        plant.demo.change(ENTITY, 7, title=f"the {number}th")
        tell(7)
    wait_until(lambda: done(events) == 30, 20, what="all events")
    copied, _ = plant.copy(ENTITY)
    assert copied["7"]["title"] == "the 29th"
    assert sum(plant.demo.statuses().values()) < 30
    assert {outcome for _, _, outcome in events.states()} <= {"updated", "unchanged"}
    plant.demo.clear_faults()
    plant.assert_copy_equals_truth()
