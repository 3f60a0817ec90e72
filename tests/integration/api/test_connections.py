"""Connections and streams over HTTP: made, read, changed with If-Match, paused, deleted."""

from collections.abc import Iterator
from typing import Any

import pytest
from servers.installation.api import Server, serving
from servers.installation.application import Application
from servers.postgres import PostgresServer

from scheduler.embedded.valkey import EmbeddedValkey
from worker.db.database import Database

NEW = {
    "name": "Plant North",
    "system": "demo",
    "settings": {"base_url": "http://127.0.0.1:9"},
    "secrets": {"token": "env://DEMO_TOKEN"},
    "history": "90d",
}


@pytest.fixture(scope="module")
def shared(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("api")
    with postgres_server.fresh_database() as url, serving(url, valkey_server.url, home) as running:
        yield running


@pytest.fixture
def server(shared: Server) -> Server:
    for table in ("run_history", "connections"):
        shared.rows(f"DELETE FROM {table}")
    return shared


@pytest.fixture
def made(server: Server) -> dict[str, Any]:
    answer = server.ask("POST", "/v1/connections", json=NEW)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/connections/{answer.json()['id']}"
    return {**answer.json(), "etag": answer.headers["etag"]}


def test_a_connection_is_made_and_read(server: Server, made: dict[str, Any]) -> None:
    shown = server.ask("GET", f"/v1/connections/{made['id']}")
    assert shown.headers["etag"] == made["etag"]
    assert {
        key: shown.json()[key] for key in ("name", "system", "settings", "secrets", "environment", "file")
    } == {
        **{key: NEW[key] for key in ("name", "system", "settings", "secrets")},
        "environment": "live",
        "file": None,
    }
    assert shown.json()["streams"]["parts"] == {
        "enabled": True,
        "schedule": {"every": "1m"},
        "history": "90d",
    }


def test_what_is_wrong_is_told_by_field_all_at_once(server: Server) -> None:
    answer = server.ask("POST", "/v1/connections", json={**NEW, "nmae": "x", "history": "9y"})
    assert answer.status_code == 422
    problem = answer.json()
    assert [(each["code"], each["place"]) for each in problem["problems"]] == [
        ("unknown_key", "body.nmae"),
        ("bad_value", "body.history"),
    ]
    assert (problem["code"], problem["place"], problem["hint"]) == (
        "unknown_key",
        "body.nmae",
        "Did you mean 'name'?",
    )


def test_a_list_goes_by_name_and_in_pages(server: Server) -> None:
    for name, tenant in (("b", "acme"), ("a", None), ("c", "acme")):
        made = server.ask("POST", "/v1/connections", json={**NEW, "name": name, "tenant": tenant or "x"})
        assert made.status_code == 201
    first = server.ask("GET", "/v1/connections?limit=2").json()
    assert [each["name"] for each in first["connections"]] == ["a", "b"]
    second = server.ask("GET", f"/v1/connections?limit=2&cursor={first['next']}").json()
    assert ([each["name"] for each in second["connections"]], second["next"]) == (["c"], None)
    acme = server.ask("GET", "/v1/connections?tenant=acme").json()
    assert [each["name"] for each in acme["connections"]] == ["b", "c"]


def test_a_change_to_what_somebody_else_changed_is_refused(server: Server, made: dict[str, Any]) -> None:
    path, headers = f"/v1/connections/{made['id']}", {"If-Match": made["etag"]}
    first = server.ask("PATCH", path, json={"tenant": "acme"}, headers=headers)
    assert (first.status_code, first.json()["tenant"]) == (200, "acme")
    second = server.ask("PATCH", path, json={"tenant": "other"}, headers=headers)
    assert (second.status_code, second.json()["code"]) == (412, "changed_meanwhile")
    again = server.ask("PATCH", path, json={"tenant": "other"}, headers={"If-Match": first.headers["etag"]})
    assert again.status_code == 200


def test_a_stream_is_changed_and_its_mistakes_are_named_from_its_own_body(
    server: Server, made: dict[str, Any]
) -> None:
    path = f"/v1/connections/{made['id']}/streams/parts"
    tag = server.ask("GET", path).headers["etag"]
    done = server.ask(
        "PATCH", path, json={"schedule": {"every": "5m"}, "enabled": False}, headers={"If-Match": tag}
    )
    assert done.status_code == 200, done.text
    assert (done.json()["schedule"], done.json()["enabled"]) == ({"every": "5m"}, False)
    wrong = server.ask("PATCH", path, json={"schedule": {"every": "1s"}})
    assert (wrong.status_code, wrong.json()["place"]) == (422, "body.schedule.every")
    assert server.ask("PATCH", path, json={"enabled": True}, headers={"If-Match": tag}).status_code == 412
    assert server.ask("PATCH", path + "x", json={"enabled": True}).json()["code"] == "unknown_stream"
    listed = {
        each["name"]: each
        for each in server.ask("GET", f"/v1/connections/{made['id']}/streams").json()["streams"]
    }
    assert listed["parts"]["enabled"] is False
    assert listed["sites"]["next_run_at"] is not None


def test_it_is_paused_and_goes_on(server: Server, made: dict[str, Any]) -> None:
    path = f"/v1/connections/{made['id']}"
    assert server.ask("POST", path + "/pause").json()["changed"] is True
    assert server.ask("POST", path + "/pause").json()["changed"] is False
    assert server.ask("GET", path).json()["paused"] is True
    assert server.ask("POST", path + "/resume").json() == {
        "connection": "Plant North", "paused": False, "changed": True, "running": 0,
    }  # fmt: skip


def test_a_deletion_says_what_becomes_of_the_data(server: Server, made: dict[str, Any]) -> None:
    path = f"/v1/connections/{made['id']}"
    assert server.ask("DELETE", path).status_code == 422
    kept = server.ask("DELETE", path + "?data=keep")
    assert (kept.status_code, kept.json()["data"]) == (200, "keep")
    shown = server.ask("GET", path).json()
    assert (shown["disconnected"], shown["secrets"]) == (True, {})
    assert server.ask("POST", path + "/resume").json()["code"] == "connection_disconnected"
    assert server.ask("DELETE", path + "?data=delete").json()["streams"] == len(shown["streams"])
    assert server.ask("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"name": NaN}', "application/json", 422, "bad_json"),
        (b'{"name": "a", "name": "b"}', "application/json", 422, "bad_json"),
        (b'{"name": "a\\u0000b", "system": "demo"}', "application/json", 422, "bad_value"),
        (b"", "application/json", 422, "bad_json"),
        (b"{" * 1000, "application/json", 422, "bad_json"),
        (b'{"settings": {"base_url": "http://u:p4ssw0rd@h"}, "name":"a","system":"demo"}', "application/json", 422,
         "secret_in_settings"),
    ],
)  # fmt: skip
def test_a_body_that_is_none_gets_a_clear_no(
    server: Server, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = server.ask("POST", "/v1/connections", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert "p4ssw0rd" not in answer.text
    assert server.rows("SELECT 1 FROM connections") == []


def test_a_token_that_is_ended_in_one_process_is_refused_by_the_next_request_to_another(
    server: Server,
) -> None:
    """The one is this process, which the other knows nothing of."""
    issued = server.ask("POST", "/v1/tokens", json={"name": "t", "scopes": ["read"]}).json()
    token, number = issued["token"], issued["id"]
    opened = server.ask("POST", "/v1/session", token=token)
    cookie = {"Cookie": opened.headers["set-cookie"].partition(";")[0]}
    assert server.ask("GET", "/v1/session", token=token).status_code == 200
    assert server.ask("GET", "/v1/session", token=None, headers=cookie).status_code == 200
    assert server.rows("SELECT last_used_at FROM tokens WHERE id = %s", number)[0]["last_used_at"]
    database = Database(server.database_url, name="test", pool=2)
    try:
        here = Application(database)
        assert here.shown(token).get("/v1/session").status_code == 200
        assert here.post(f"/v1/tokens/{number}/revoke", {}).json()["changed"] is True
        assert here.shown(token).get("/v1/session").status_code == 401
    finally:
        database.close()
    ways: list[dict[str, Any]] = [{"token": token}, {"token": None, "headers": cookie}]
    for how in ways:
        assert server.ask("GET", "/v1/session", **how).status_code == 401
