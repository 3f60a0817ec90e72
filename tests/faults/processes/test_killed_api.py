"""A burst of webhooks, and amid it the API is killed or stopped, or Valkey goes: what was answered is stored and gets done."""

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.installation.holding import held
from servers.installation.plant import Plant
from servers.systems.bursts import SENDERS, Burst, Signed, bursting, prove_by_secret
from servers.waiting import wait_until, waiting

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ENTITY = "work_orders"
SETTINGS = {"HEADRACE_PORT": "0"}
MANY = 40
API = "api-1"
COMMITS = "LOCK TABLE event_keys IN SHARE MODE"
"""Nobody commits a webhook while it is held."""


@pytest.fixture
def keys(plant: Plant, tmp_path: Path) -> Iterator[list[int]]:
    """Work orders that have changed since they were copied, of which only webhooks tell. An API listens."""
    plant.connect(entities=(ENTITY,))
    prove_by_secret(plant, tmp_path)
    plant.stack.ensure(API)
    plant.stack.wait_until_idle()
    keys = sorted(map(int, plant.demo.truth(ENTITY)[0]))[:MANY]
    for key in keys:
        plant.demo.change(ENTITY, key, title=f"told of {key}")
    yield keys
    plant.stack.valkey.start()


def test_an_api_killed_amid_webhooks_has_stored_what_it_answered(plant: Plant, keys: list[int]) -> None:
    with bursting(port(plant), plant, keys) as burst:
        wait_for_more(burst, 2 * MANY)
        with held(plant.stack, COMMITS):
            wait_for_commit(plant, burst)
            plant.stack.kill(API)
            plant.stack.all(  # what it has asked for goes with it
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'headrace api%%'"
            )
    assert burst.others["broken"] >= 1
    assert set(burst.others) <= {"broken", "refused"}
    assert set(burst.answered) == stored(plant)
    plant.stack.start(API)
    assert said_again(plant, list(burst.answered.values())[-20:]) == [{"events": 1, "new": 0}] * 20
    assert_all_done_once(plant, keys)


def test_webhooks_are_answered_while_valkey_stands_still_and_when_it_is_gone(
    plant: Plant, keys: list[int]
) -> None:
    valkey = plant.stack.valkey.child
    assert valkey is not None
    with bursting(port(plant), plant, keys) as burst:
        wait_for_more(burst)
        valkey.send(signal.SIGSTOP)
        wait_for_more(burst)
        plant.stack.kill_valkey()
        wait_for_more(burst)
        burst.stop.set()
    assert not burst.others
    assert set(burst.answered) == stored(plant)
    plant.stack.valkey.start()
    assert_all_done_once(plant, keys)


def test_an_api_that_is_stopped_amid_webhooks_answers_those_under_way(plant: Plant, keys: list[int]) -> None:
    api, listens_at = plant.stack.parts[API].child, port(plant)
    with bursting(listens_at, plant, keys) as burst:
        wait_for_more(burst)
        with held(plant.stack, COMMITS):
            wait_for_commit(plant, burst)
            api.send(signal.SIGTERM)
            wait_until(lambda: not listens(listens_at), what="an API that takes no more")
    assert set(burst.others) == {"refused"}
    assert api.wait(10)
    assert api.exit_code == 0
    assert set(burst.answered) == stored(plant)
    counted = plant.stack.one("SELECT sum(received) AS n FROM webhook_counts WHERE stream_id = %(id)s",
                              id=plant.stream(ENTITY)["id"])  # fmt: skip
    assert counted["n"] == len(burst.answered)
    assert_all_done_once(plant, keys)


def port(plant: Plant) -> int:
    """Where the API listens that was started last."""
    found: int = plant.stack.events(API, "api_listens")[-1]["port"]
    return found


def listens(at: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", at)) == 0


def wait_for_more(burst: Burst, many: int = MANY) -> None:
    wanted = len(burst.answered) + many
    wait_until(lambda: len(burst.answered) >= wanted, 20, what="more of the burst")


def wait_for_commit(plant: Plant, burst: Burst) -> None:
    """Until every sender waits for a commit that can't come, and has heard of those before."""
    wait_until(
        lambda: (
            waiting(plant.stack.database)
            and burst.under_way == SENDERS
            and stored(plant) == set(burst.answered)
        ),
        20,
        what="webhooks that wait for a commit",
    )


def stored(plant: Plant) -> set[str]:
    rows = plant.stack.all(
        "SELECT event_key FROM events WHERE stream_id = %(id)s", id=plant.stream(ENTITY)["id"]
    )
    keys = {row["event_key"] for row in rows}
    assert len(keys) == len(rows)
    return keys


def said_again(plant: Plant, hooks: list[Signed]) -> list[object]:
    """What an API says to those that it has answered before it was killed."""
    line = http.client.HTTPConnection("127.0.0.1", port(plant), timeout=20)
    found: list[object] = []
    for hook in hooks:
        line.request("POST", f"/webhooks/{plant.name}", hook.body, hook.headers)
        found.append(json.loads(line.getresponse().read()))
    line.close()
    return found


def assert_all_done_once(plant: Plant, keys: list[int]) -> None:
    """Every event is done, its record is in the copy, and no change came twice."""
    stream = plant.stream(ENTITY)["id"]
    wait_until(
        lambda: (
            not plant.stack.all(
                "SELECT FROM events WHERE stream_id = %(id)s AND state <> 'done' LIMIT 1", id=stream
            )
        ),
        30,
        what="the end of all events",
    )
    copied, _ = plant.copy(ENTITY)
    assert all(copied[str(key)]["title"] == f"told of {key}" for key in keys)
    outcomes = plant.stack.all("SELECT outcome FROM events WHERE stream_id = %(id)s", id=stream)
    assert {row["outcome"] for row in outcomes} <= {"updated", "unchanged"}
    plant.assert_copy_equals_truth()
    updated = sum(run["records_updated"] for run in plant.history(ENTITY))
    assert updated == len(keys)
