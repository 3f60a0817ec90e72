"""Webhooks at the door: what is proved is in the table before it is answered, once, with its run."""

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from servers.installation.application import Application
from servers.postgres import PostgresServer
from standardwebhooks import Webhook

from scheduler.webhooks.storing import Event, raise_queued, store
from worker.connectors.contract import Hint
from worker.db.database import Database

SECRET = base64.b64encode(b"k" * 32).decode()
Signed = tuple[str, dict[str, str]]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        yield database
        database.close()


@pytest.fixture
def plant(database: Database, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Plant]":
    monkeypatch.setenv("HOOK_SECRET", f"whsec_{SECRET}")
    made = Plant(database)
    yield made
    made.api.end()


class Plant:
    """A connection whose system sends webhooks."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.name = f"plant-{uuid4().hex[:8]}"
        self.api = Application(database).shown(None)
        row = database.one(
            """INSERT INTO connections (name, environment, system, settings, secrets)
               VALUES (%(name)s, 'live', 'demo', '{"base_url": "http://127.0.0.1:1"}',
                       '{"webhook_secret": "env://HOOK_SECRET", "token": "env://HOOK_SECRET"}') RETURNING id""",
            {"name": self.name},
        )
        assert row
        self.id = row["id"]
        stream = database.one(
            """INSERT INTO streams (connection_id, name, bucket, schedule) VALUES (%(id)s, 'parts', 1, '{"every": 900}')
               RETURNING id""",
            {"id": self.id},
        )
        assert stream
        self.stream = stream["id"]

    def send(
        self, *, event: str | None = None, at: datetime | None = None, to: str | None = None, **change: Any
    ) -> httpx.Response:
        content, headers = self.signed(event, at, change)
        return self.api.ask("POST", f"/webhooks/{to or self.name}", content=content, headers=headers)

    def burst(self, many: int) -> list[int]:
        """So many at once."""
        hooks = [self.signed(None, None, {}) for _ in range(many)]
        return [answer.status_code for answer in self.send_at_once(self.api, hooks)]

    def send_at_once(self, api: Application, hooks: Sequence[Signed]) -> list[httpx.Response]:
        async def sent() -> list[httpx.Response]:
            async with httpx.AsyncClient(transport=api._transport, base_url="http://api") as client:
                asked = (client.post(f"/webhooks/{self.name}", content=c, headers=h) for c, h in hooks)
                return await asyncio.gather(*asked)

        return asyncio.run(sent())

    def signed(self, event: str | None, at: datetime | None, change: dict[str, Any]) -> Signed:
        moment = at or datetime.now(UTC)
        body = json.dumps(
            {"type": "part.updated", "timestamp": moment.isoformat(), "data": {"id": "P-1"}} | change
        )
        identifier = event or f"msg_{uuid4().hex}"
        headers = {
            "webhook-id": identifier,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(identifier, moment, body),
        }
        return body, headers

    def events(self) -> list[dict[str, Any]]:
        return self.database.all(
            "SELECT * FROM events WHERE connection_id = %(id)s ORDER BY id", {"id": self.id}
        )

    def runs(self) -> list[dict[str, Any]]:
        return self.database.all("SELECT * FROM runs WHERE connection_id = %(id)s", {"id": self.id})


def test_what_is_answered_with_200_is_in_the_table_with_its_run(plant: Plant) -> None:
    answer = plant.send()
    assert answer.status_code == 200, answer.text
    (event,), (run,) = plant.events(), plant.runs()
    assert (event["kind"], event["key"], event["state"]) == ("record", "P-1", "pending")
    assert (run["track"], run["cause"], run["lane"], run["queue"]) == (
        "events",
        "webhook",
        1,
        "sync.demo.live",
    )


def test_a_replay_is_answered_alike_and_ignored(plant: Plant) -> None:
    assert [plant.send(event="msg_1").json()["new"] for _ in range(3)] == [1, 0, 0]
    assert len(plant.events()) == 1


def test_a_burst_asks_for_one_run(plant: Plant) -> None:
    assert plant.burst(10) == [200] * 10
    assert (len(plant.events()), len(plant.runs())) == (10, 1)


def test_a_word_about_a_whole_stream_raises_the_run_that_is_queued_already(plant: Plant) -> None:
    plant.database.run(
        """INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, wait_reason, not_before)
           VALUES (%(stream)s, %(id)s, 'sync.demo', 'a', 'live', 3, 'schedule', 'r', 'retry', now() + interval '1 hour')""",
        {"stream": plant.stream, "id": plant.id},
    )
    word = Event(plant.id, plant.stream, Hint("parts", "stream", "e-1"), "r")
    assert store(plant.database, plant.database, [word]).wakeups == ()
    assert raise_queued(plant.database, [plant.stream]) == [], "it waits for its next attempt as before"
    (run,) = plant.runs()
    assert (run["lane"], run["queue"], run["published_at"]) == (1, "sync.demo.live", None)
    plant.database.run("UPDATE runs SET lane = 3, not_before = now()")
    assert raise_queued(plant.database, [plant.stream]) == [(run["id"], "sync.demo.live")]
    assert raise_queued(plant.database, [plant.stream]) == [], "once is enough"


def test_two_apis_that_are_told_the_same_at_once_store_it_once(plant: Plant) -> None:
    hooks = [plant.signed(f"msg_both_{number}", None, {}) for number in range(30)]
    apis = [Application(plant.database).shown(None) for _ in range(2)]
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda api: plant.send_at_once(api, hooks), apis))
    for api in apis:
        api.end()
    told = [sum(answer.json()["new"] for answer in of_both) for of_both in zip(*answers, strict=True)]
    assert told == [1] * 30
    assert (len(plant.events()), len(plant.runs())) == (30, 1)


def test_an_answer_waits_for_nobody_who_holds_a_run(plant: Plant) -> None:
    plant.send()
    with plant.database.transaction() as holder:
        holder.execute("UPDATE runs SET lane = lane WHERE connection_id = %(id)s", {"id": plant.id})
        assert plant.send().status_code == 200
        assert len(plant.events()) == 2


@pytest.mark.parametrize("environment", ["live", "test"])
def test_no_name_takes_the_webhooks_of_another(plant: Plant, environment: str) -> None:
    """Whoever may make a connection chooses its name: another's number, or that of a live one in test."""
    name = str(plant.id) if environment == "live" else plant.name
    plant.database.run(
        "INSERT INTO connections (name, environment, system, settings)"
        " VALUES (%(name)s, %(environment)s, 'demo', '{\"base_url\": \"http://127.0.0.1:1\"}')",
        {"name": name, "environment": environment},
    )
    assert plant.send(to=name).status_code == 200
