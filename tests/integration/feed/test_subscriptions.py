"""Subscriptions through the API and the command line, tried out on a real receiver."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.installation.api import Server, serving
from servers.installation.commands import Command
from servers.postgres import PostgresServer
from servers.receiver import SECRET, Receiver
from servers.rows.feed import Copy

from scheduler.embedded.valkey import EmbeddedValkey
from worker.db.database import Database

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("api")
    with (
        postgres_server.fresh_database() as url,
        serving(url, valkey_server.url, home, HEADRACE_OUTBOUND_LOOPBACK="true") as server,
    ):
        database = Database(url, name="test", pool=1)
        Copy(database, url)
        database.close()
        yield server


@pytest.fixture
def server(shared: Server) -> Server:
    shared.rows("DELETE FROM subscriptions")
    return shared


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text(SECRET)
    return f"file://{tmp_path / 'secret'}"


def added(server: Server, receiver: Receiver, secret: str, **more: Any) -> Any:
    body = {"name": "hooks", "url": receiver.url, "secret": secret, **more}
    answer = server.ask("POST", "/v1/subscriptions", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/v1/subscriptions/hooks"
    return answer.json()


def test_a_subscription_is_added_shown_paused_resumed_replayed_and_removed(
    server: Server, receiver: Receiver, secret: str
) -> None:
    made = added(server, receiver, secret, connection="plant", stream="orders", kinds=["created"])
    assert (made["state"], made["connection"], made["stream"], made["kinds"]) == (
        "active", "plant", "orders", ["created"],
    )  # fmt: skip
    assert made["secret"] == secret
    assert server.ask("GET", "/v1/subscriptions").json()["subscriptions"] == [made]
    assert server.ask("POST", "/v1/subscriptions/hooks/pause").json()["state"] == "paused"
    assert server.ask("POST", "/v1/subscriptions/hooks/resume").json()["state"] == "active"
    replayed = server.ask(
        "POST", "/v1/subscriptions/hooks/replay", json={"since": "2026-03-01T06:00:00+01:00"}
    )
    assert replayed.json()["replays_since"] == "2026-03-01T04:45:00Z"  # a margin further back
    assert server.ask("DELETE", "/v1/subscriptions/hooks").status_code == 204
    assert server.ask("GET", "/v1/subscriptions/hooks").status_code == 404


def test_a_trial_says_whether_the_receiver_took_it(server: Server, receiver: Receiver, secret: str) -> None:
    added(server, receiver, secret)
    assert server.ask("POST", "/v1/subscriptions/hooks/test").json() == {"taken": True, "words": None}
    assert [event["type"] for event in receiver.events] == ["subscription.test"]
    receiver.answer = lambda _: 500
    assert "500" in server.ask("POST", "/v1/subscriptions/hooks/test").json()["words"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"url": "http://169.254.169.254/latest/"}, 422, "address_refused"),
        ({"url": "http://[fe80::1]/"}, 422, "address_refused"),
        ({"url": "http://0.0.0.0:80/"}, 422, "address_refused"),
        ({"url": "ftp://hooks.example/"}, 422, "bad_url"),
        ({"url": "https://user:planted-word@hooks.example/"}, 422, "bad_url"),
        ({"secret": SECRET}, 422, "plain_secret"),
        ({"kinds": ["gone"]}, 422, "bad_value"),
        ({"connection": "nope"}, 404, "unknown_connection"),
        ({"connection": "plant", "stream": "nope"}, 404, "unknown_stream"),
        ({"begin": "yesterday"}, 422, "bad_position"),
        ({"name": "a\nb"}, 422, "bad_name"),
        ({"name": "a\0b"}, 422, "bad_value"),
        ({"stream": "a\0b"}, 422, "bad_value"),
        ({"url": "http://xn--/"}, 422, "bad_url"),
        ({"more": 1}, 422, "bad_value"),
    ],
)
def test_what_is_wrong_is_a_problem_that_repeats_no_secret(
    server: Server, receiver: Receiver, secret: str, change: Any, status: int, code: str
) -> None:
    body = {"name": "hooks", "url": receiver.url, "secret": secret} | change
    answer = server.ask("POST", "/v1/subscriptions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert SECRET not in answer.text
    assert "planted-word" not in answer.text


def test_a_stranger_subscribes_to_nothing(server: Server, receiver: Receiver, secret: str) -> None:
    added(server, receiver, secret)
    for method, path in (
        ("GET", ""), ("POST", ""), ("GET", "/hooks"), ("DELETE", "/hooks"), ("POST", "/hooks/pause"),
        ("POST", "/hooks/resume"), ("POST", "/hooks/replay"), ("POST", "/hooks/test"),
    ):  # fmt: skip
        assert server.ask(method, f"/v1/subscriptions{path}", token=None).status_code == 401
    assert receiver.events == []


def test_the_commands_do_the_same(
    headrace: Command, database_url: str, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_OUTBOUND_LOOPBACK", "true")
    database = Database(database_url, name="test", pool=1)
    Copy(database, database_url)
    assert "No subscriptions" in headrace("subscriptions").out
    said = headrace(
        "subscriptions",
        "add",
        "hooks",
        receiver.url,
        "--secret",
        secret,
        "--connection",
        "plant",
        "--kind",
        "deleted",
    )
    assert said.code == 0, said.err
    assert "deleted of plant" in headrace("subscriptions").out
    assert headrace("subscriptions", "test", "hooks").code == 0
    receiver.answer = lambda _: 503
    assert headrace("subscriptions", "test", "hooks").code == 1
    assert headrace("subscriptions", "pause", "hooks").code == 0
    assert headrace("subscriptions", "show", "hooks", "--json").json["state"] == "paused"
    assert headrace("subscriptions", "resume", "hooks").code == 0
    assert headrace("subscriptions", "replay", "hooks", "--since", "2026-03-01T06:00:00Z").code == 0
    assert "2026-03-01 05:45" in headrace("subscriptions", "show", "hooks").out
    assert headrace("subscriptions", "replay", "hooks", "--since", "2h").code == 0
    assert headrace("subscriptions", "replay", "hooks", "--since", "yesterday").code == 2
    database.run("UPDATE subscriptions SET state = 'disabled', reason = 'The receiver is gone.'")
    doctor = {(f["check"], f["level"]): f["words"] for f in headrace("doctor", "--json").json}
    assert "hooks is disabled: The receiver is gone." in doctor["events", "fail"]
    assert ("feed", "ok") in doctor
    database.close()
    assert headrace("subscriptions", "remove", "hooks").code == 0
    assert headrace("subscriptions", "show", "hooks").code == 3
    assert headrace("subscriptions", "add", "x", receiver.url, "--secret", SECRET).code == 2
