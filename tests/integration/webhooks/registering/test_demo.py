"""The whole way with the system that comes with Headrace: registered there, told of a change, in the copy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.installation.api import Server, serving
from servers.systems.demo import Demo
from servers.systems.registered import Plant
from servers.waiting import wait_until

from scheduler.cli.commands.demo import webhook_secrets
from scheduler.webhooks.registering.tending import tend_registrations
from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

pytestmark = pytest.mark.integration
PATIENCE = 60.0
"""It tries again after some seconds whatever wasn't taken."""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """It outlives its process."""
    state = str(tmp_path / "plant.journal")
    system = Demo(
        tmp_path / "demo", "--rate", "0", "--factor", "0.1", "--requests", "0", "--state", state
    ).start()
    yield system
    system.client.close()
    system.kill()


@pytest.fixture
def server(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "home").mkdir(mode=0o700)
    with serving(database_url, broker_url, tmp_path / "home") as running:
        yield running


@pytest.fixture
def plant(server: Server, demo: Demo, broker_url: str) -> Iterator[Plant]:
    settings = load_settings(database_url=SecretStr(server.database_url), broker_url=SecretStr(broker_url))
    webhook_secrets(server.home)
    services = Services.open(settings, name="test")
    secrets = {
        "token": f"file://{demo.token_file}",
        "webhook_secret": f"file://{server.home}/demo-webhook-secret",
    }
    row = services.database.one(
        """INSERT INTO connections (name, environment, system, settings, secrets)
           VALUES ('plant', 'live', 'demo', %(settings)s, %(secrets)s) RETURNING id""",
        {"settings": Jsonb({"base_url": demo.base_url}), "secrets": Jsonb(secrets)},
    )
    assert row
    services.database.run(
        """INSERT INTO streams (connection_id, name, bucket, schedule) VALUES (%(id)s, 'parts', 1, '{"every": 900}')""",
        {"id": row["id"]},
    )
    yield Plant(services, row["id"])
    services.close()


def registered(demo: Demo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = demo.client.get("/api/v1/webhooks").json()["data"]
    return found


def test_the_demo_system_tells_of_its_changes_as_long_as_it_is_asked_to(
    plant: Plant, server: Server, demo: Demo
) -> None:
    database = plant.services.database

    def told() -> list[tuple[str, str | None]]:
        rows = database.all("SELECT key, outcome FROM events ORDER BY id")
        return [(row["key"], row["outcome"]) for row in rows]

    url = plant.register(server.url)
    tend_registrations(plant.services)
    (hook,) = registered(demo)
    assert (hook["url"], hook["status"], plant.states()[0]) == (url, "active", "active")

    key = next(iter(demo.truth("parts")[0]))
    demo.change("parts", key, name="told of")
    wait_until(lambda: told() == [(key, None)], PATIENCE, what="a webhook of the demo system")
    for run in database.all("SELECT id FROM runs WHERE track = 'events'"):
        carry_out(plant.services, run["id"])
    assert told() == [(key, "created")]
    record = database.one(
        "SELECT raw ->> 'name' AS name, cause_kind FROM records WHERE key = %(key)s", {"key": key}
    )
    assert record == {"name": "told of", "cause_kind": "event"}

    demo.kill()
    demo.start()
    assert registered(demo) == [hook], "a restart of the system forgets none"
    demo.client.patch(f"/api/v1/webhooks/{hook['id']}", json={"status": "suspended"})
    plant.later()
    assert registered(demo)[0]["status"] == "active"
    demo.client.delete(f"/api/v1/webhooks/{hook['id']}")
    plant.later()
    (anew,) = registered(demo)
    assert anew["id"] != hook["id"]

    demo.change("parts", key, name="told of again")
    wait_until(lambda: len(told()) == 2, PATIENCE, what="a webhook of the one that was created anew")
    assert plant.unregister() == 1
    tend_registrations(plant.services)
    assert registered(demo) == []
    assert plant.row is None
