"""The API as a client meets it: a real process, a real database and broker."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from servers.installation.api import TOKEN, Server, free_port, serving
from servers.postgres import PostgresServer
from servers.waiting import wait_until

from scheduler.embedded.valkey import EmbeddedValkey

PATIENCE = 30.0


@pytest.fixture(scope="module")
def shared(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One process for all tests that don't stop it."""
    home = tmp_path_factory.mktemp("api")
    with postgres_server.fresh_database() as url, serving(url, valkey_server.url, home) as running:
        yield running


@pytest.fixture
def server(shared: Server) -> Server:
    """The shared process on a database with nothing but the two connections of `_connect`."""
    for table in ("run_history", "connections", "processes WHERE kind <> 'api'"):
        shared.rows(f"DELETE FROM {table}")
    _connect(shared)
    return shared


def _connect(server: Server) -> None:
    """Two connections: one with two streams that are on and one that is off, and one that is paused."""
    server.rows("INSERT INTO connections (name, system) VALUES ('plant', 'demo')")
    server.rows("INSERT INTO connections (name, system, paused_at) VALUES ('old', 'demo', now())")
    for connection, name, enabled in [
        ("plant", "sites", True), ("plant", "assets", True), ("plant", "vendors", False), ("old", "sites", True),
    ]:  # fmt: skip
        server.rows(
            "INSERT INTO streams (connection_id, name, bucket, schedule, enabled)"
            " SELECT id, %s, 0, '{\"every\": 900}', %s FROM connections WHERE name = %s",
            name, enabled, connection,
        )  # fmt: skip


def test_a_sync_is_asked_for_and_can_be_watched(server: Server) -> None:
    answer = server.ask("POST", "/v1/connections/plant/syncs", json={"streams": ["sites"]})
    assert answer.status_code == 202, answer.text
    [run] = answer.json()["runs"]
    assert answer.headers["location"] == run["url"] == f"/v1/runs/{run['id']}"
    assert not run["joined"]
    shown = server.ask("GET", run["url"]).json()
    assert (shown["state"], shown["cause"], shown["lane"], shown["stream"]) == (
        "queued",
        "api",
        "on_demand",
        "sites",
    )
    assert shown["connection"] == "plant"


def test_without_a_body_every_stream_that_is_on_is_synced(server: Server) -> None:
    answer = server.ask("POST", "/v1/connections/plant/syncs")
    assert answer.status_code == 202, answer.text
    assert [run["stream"] for run in answer.json()["runs"]] == ["assets", "sites"]


def test_a_queued_run_is_joined_and_the_first_request_id_stays(server: Server) -> None:
    first = server.ask(
        "POST", "/v1/connections/plant/syncs", json={"streams": ["sites"]}, headers={"X-Request-ID": "one"}
    )
    second = server.ask("POST", "/v1/connections/plant/syncs", json={"streams": ["sites"]})
    assert second.json()["runs"][0] == first.json()["runs"][0] | {"joined": True}
    assert server.rows("SELECT request_id FROM runs") == [{"request_id": "one"}]
    assert first.headers["x-request-id"] == "one"


def test_many_at_once_ask_for_one_run(server: Server) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(server.ask("POST", "/v1/connections/plant/syncs", json={"streams": ["sites"]}))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["runs"][0]["id"] for answer in answers}) == 1
    assert sum(not answer.json()["runs"][0]["joined"] for answer in answers) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("plnt", None, 404, "unknown_connection"),
        ("99", None, 404, "unknown_connection"),
        ("9" * 30, None, 404, "unknown_connection"),
        ("%00", None, 404, "unknown_connection"),
        ("%F0%9F%98%80", None, 404, "unknown_connection"),
        ("x" * 201, None, 422, "bad_value"),
        ("old", None, 409, "connection_paused"),
        ("plant", {"streams": ["site"]}, 404, "unknown_stream"),
        ("plant", {"streams": ["a\x00b"]}, 404, "unknown_stream"),
        ("plant", {"streams": ["sites", "nope"]}, 404, "unknown_stream"),
        ("plant", {"streams": ["vendors"]}, 409, "stream_off"),
        ("plant", {"streams": []}, 422, "bad_value"),
        ("plant", {"streams": "sites"}, 422, "bad_value"),
        ("plant", {"streams": [1]}, 422, "bad_value"),
        ("plant", {"stream": ["sites"]}, 422, "bad_value"),
        ("plant", [], 422, "bad_value"),
    ],
)
def test_a_wrong_request_gets_a_problem_and_no_run(
    server: Server, path: str, body: Any, status: int, code: str
) -> None:
    more = {} if body is None else {"json": body}
    answer = server.ask("POST", f"/v1/connections/{path}/syncs", **more)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert server.rows("SELECT id FROM runs") == []


def test_the_nearest_name_is_suggested(server: Server) -> None:
    assert "'plant'" in server.ask("POST", "/v1/connections/plnt/syncs").json()["hint"]
    answer = server.ask("POST", "/v1/connections/plant/syncs", json={"streams": ["site"]})
    assert "'sites'" in answer.json()["hint"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"streams": ["\\ud800"]}',
        b"[" * 5000,
        b'{"streams": NaN}',
        b'{"streams": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_malformed_body_never_crashes(server: Server, body: bytes) -> None:
    answer = server.ask(
        "POST", "/v1/connections/plant/syncs", content=body, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_refusal_says_what_to_do(server: Server) -> None:
    syncs = "/v1/connections/plant/syncs"
    answers = {
        404: server.ask("GET", "/v1/nothing"),
        405: server.ask("DELETE", "/v1/runs"),
        413: server.ask("POST", syncs, content=b" " * (1024 * 1024 + 1)),
        415: server.ask(
            "POST", syncs, content=b"a=1", headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
        422: server.ask("GET", "/v1/runs?limit=0"),
    }
    assert {status: answer.status_code for status, answer in answers.items()} == {
        status: status for status in answers
    }
    assert [status for status, answer in answers.items() if not answer.json()["hint"]] == []
    assert answers[405].headers["allow"] == "GET, HEAD, OPTIONS"


def test_it_is_said_where_a_body_stops_being_json(server: Server) -> None:
    answer = server.ask(
        "POST", "/v1/connections/plant/syncs", content=b"{nope", headers={"Content-Type": "application/json"}
    ).json()
    assert (answer["code"], answer["place"]) == ("bad_json", "body")
    assert answer["detail"].endswith("at character 1.")
    missing = server.ask("POST", "/v1/connections/plant/history").json()
    assert (missing["detail"], missing["place"]) == ("A body of JSON is needed.", "body")


@pytest.mark.parametrize(
    "path", ["runs?conection=plant", "models/part?updatedafter=x", "changes?kinds=created"]
)
def test_a_parameter_that_is_none_is_refused_and_never_asks_for_everything(server: Server, path: str) -> None:
    answer = server.ask("GET", f"/v1/{path}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["place"].startswith("query")


def test_a_parameter_that_is_misspelled_is_told_the_one_that_was_meant(server: Server) -> None:
    answer = server.ask("GET", "/v1/runs?conection=plant").json()
    assert (answer["code"], answer["hint"]) == ("unknown_parameter", "Did you mean 'connection'?")


@pytest.mark.parametrize("moment", ["2026", "1767225600", "-1.5", "2026-01-01T00:00:00"])
def test_a_number_is_no_time(server: Server, moment: str) -> None:
    answer = server.ask("GET", f"/v1/models/part?updated_after={moment}")
    assert (answer.status_code, answer.json()["place"]) == (422, "query.updated_after")


def test_a_long_body_is_refused(server: Server) -> None:
    answer = server.ask("POST", "/v1/connections/plant/syncs", content=b" " * 1_100_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_the_same_number_or_name_leads_to_the_connection(server: Server) -> None:
    number = server.rows("SELECT id FROM connections WHERE name = 'plant'")[0]["id"]
    by_number = server.ask("POST", f"/v1/connections/{number}/syncs").json()
    assert by_number["connection"] == "plant"


def test_an_ended_run_is_still_shown_and_a_merged_one_points_on(server: Server) -> None:
    first, last = uuid4(), uuid4()
    for run, state, into in [(first, "merged", last), (last, "succeeded", None)]:
        server.rows(
            """INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause,
                   state, merged_into, claim_no, attempt, request_id, created_at, pages, records_read, records_created,
                   records_updated, records_deleted, records_refused, records_rejected, steps)
               SELECT %s, false, s.id, s.connection_id, 'sync.demo', 'live', '{}', 3, 'schedule', %s, %s, 1, 0, 'r',
                   now(), 1, 2, 3, 4, 0, 0, 0, '[{"name": "request", "ms": 1.5, "n": 1}]'
                 FROM streams s WHERE s.name = 'assets'""",
            run, state, into,
        )  # fmt: skip
    shown = server.ask("GET", f"/v1/runs/{first}").json()
    assert shown["merged_into"] == str(last)
    assert shown["ends_as"] == {"id": str(last), "state": "succeeded", "url": f"/v1/runs/{last}"}
    ended = server.ask("GET", f"/v1/runs/{last}").json()
    assert ended["records"]["created"] == 3
    assert ended["steps"][0]["name"] == "request"
    assert ended["ends_as"] is None


def test_runs_are_listed_page_by_page_without_gap_or_repeat(server: Server) -> None:
    ids = {str(UUID(int=n + (7 << 76))) for n in range(25)}
    for run in ids:
        server.rows(
            """INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause,
                   state, claim_no, attempt, request_id, created_at, pages, records_read, records_created,
                   records_updated, records_deleted, records_refused, records_rejected)
               SELECT %s, true, s.id, s.connection_id, 'sync.demo', 'live', '{}', 3, 'schedule', 'succeeded', 1, 0,
                   'r', now(), 1, 0, 0, 0, 0, 0, 0
                 FROM streams s WHERE s.name = 'assets'""",
            run,
        )
    server.ask("POST", "/v1/connections/plant/syncs", json={"streams": ["sites"]})
    seen: list[str] = []
    before = ""
    while True:
        page = server.ask("GET", f"/v1/runs?limit=10{before}").json()
        seen += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        before = f"&cursor={page['next']}"
    assert len(seen) == 26
    assert ids < set(seen)
    assert seen == sorted(seen, reverse=True)
    only = server.ask("GET", "/v1/runs?connection=plant&stream=sites").json()["runs"]
    assert [run["state"] for run in only] == ["queued"]
    assert len(server.ask("GET", "/v1/runs?state=succeeded&limit=500").json()["runs"]) == 25


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/runs/nope", 422, "bad_value"),
        ("/v1/runs/00000000-0000-0000-0000-000000000000", 404, "unknown_run"),
        ("/v1/runs?limit=0", 422, "bad_value"),
        ("/v1/runs?limit=99999999999999999999", 422, "bad_value"),
        ("/v1/runs?before=x", 422, "unknown_parameter"),
        ("/v1/runs?cursor=x", 422, "bad_cursor"),
        ("/v1/runs?state=resting", 422, "bad_value"),
        ("/v1/runs?connection=nope", 404, "unknown_connection"),
        ("/v1/runs?stream=sites", 422, "missing_connection"),
        ("/v1/runs?connection=plant&stream=nope", 404, "unknown_stream"),
        ("/v1/nothing", 404, "unknown_route"),
        ("/nothing", 404, "unknown_route"),
        ("/v1/connections/plant/syncs", 405, "method_not_allowed"),
    ],
)
def test_what_isnt_there_is_a_problem_too(server: Server, path: str, status: int, code: str) -> None:
    answer = server.ask("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", [None, "wrong", ""])
def test_a_stranger_gets_nothing_on_any_route(server: Server, token: str | None) -> None:
    for method, path in [
        ("POST", "/v1/connections/plant/syncs"), ("GET", "/v1/runs"), ("GET", f"/v1/runs/{uuid4()}"),
        ("GET", "/docs"), ("GET", "/openapi.json"),
    ]:  # fmt: skip
        answer = server.ask(method, path, token=token)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
    assert server.rows("SELECT id FROM runs") == []


def test_ready_needs_database_broker_beat_and_worker(server: Server) -> None:
    missing = server.ask("GET", "/readyz", token=None)
    assert missing.status_code == 503
    assert {reason["check"] for reason in missing.json()["reasons"]} == {"beat", "workers"}
    server.rows(
        "INSERT INTO processes (kind, name, version) VALUES ('beat', 'h:1', '0'), ('worker', 'h:2', '0')"
    )
    wait_until(
        lambda: server.ask("GET", "/readyz", token=None).status_code == 200, PATIENCE, what="readiness"
    )
    server.rows("UPDATE processes SET seen_at = now() - interval '61 seconds' WHERE kind = 'worker'")
    wait_until(
        lambda: server.ask("GET", "/readyz", token=None).status_code == 503, PATIENCE, what="a worker's death"
    )
    assert server.ask("GET", "/healthz", token=None).status_code == 200


def test_without_a_broker_the_run_is_kept_and_the_api_is_not_ready(database_url: str, tmp_path: Path) -> None:
    """The row is the intent; beat tops up the message when the broker is back."""
    with serving(database_url, f"redis://127.0.0.1:{free_port()}/0", tmp_path) as server:
        _connect(server)
        begun = time.monotonic()
        answer = server.ask("POST", "/v1/connections/plant/syncs", json={"streams": ["sites"]})
        assert answer.status_code == 202, answer.text
        assert time.monotonic() - begun < 15
        assert len(server.rows("SELECT id FROM runs WHERE state = 'queued'")) == 1
        ready = server.ask("GET", "/readyz", token=None).json()
        assert "broker" in {reason["check"] for reason in ready["reasons"]}


def test_the_process_says_that_it_is_alive_and_takes_its_leave(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    with serving(database_url, broker_url, tmp_path) as server:
        _takes_its_leave(server)


def _takes_its_leave(server: Server) -> None:
    assert [row["kind"] for row in server.rows("SELECT kind FROM processes")] == ["api"]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(15) == 0
    assert server.rows("SELECT kind FROM processes") == []


def test_the_token_is_in_no_log_line_and_the_request_id_in_every_one(server: Server) -> None:
    server.ask("POST", "/v1/connections/plant/syncs", headers={"X-Request-ID": "find-me"})
    log = wait_until(lambda: _log_with(server, "find-me"), PATIENCE, what="the log line")
    assert TOKEN not in log
    assert '"request_served"' in log


def _log_with(server: Server, words: str) -> str:
    text = (server.home / "api.out").read_text()
    return text if words in text else ""
