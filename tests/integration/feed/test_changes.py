"""The change feed through the API and the command line: real processes, a real database."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from servers.installation.api import Server, serving
from servers.installation.commands import Command, hear_interrupts
from servers.postgres import PostgresServer
from servers.rows.feed import RUN, Copy
from servers.waiting import wait_until

from scheduler.embedded.valkey import EmbeddedValkey
from worker.db.database import Database
from worker.feed.epoch import raise_floor

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shared(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Database]]:
    home = tmp_path_factory.mktemp("api")
    with postgres_server.fresh_database() as url, serving(url, valkey_server.url, home) as server:
        database = Database(url, name="test", pool=4)
        yield server, database
        database.close()


@pytest.fixture
def server(shared: tuple[Server, Database]) -> Server:
    return shared[0]


@pytest.fixture
def copy(shared: tuple[Server, Database]) -> Iterator[Copy]:
    server, database = shared
    database.run("TRUNCATE connections, records, feed_consumers CASCADE")
    database.run("UPDATE feed_state SET floor_xid = '0', floor_seq = 0")
    with Copy(database, server.database_url) as made:
        yield made


def changes(server: Server, query: str = "") -> Any:
    answer = server.ask("GET", f"/v1/changes{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_changes_are_read_page_by_page_with_their_records_as_they_were_sent(
    server: Server, copy: Copy
) -> None:
    copy.write("a", 1)
    copy.database.run('UPDATE records SET raw = \'{"price": 1.10,\n "n": 12345678901234567890}\'')
    copy.write("b", 2, stream="parts")
    first = server.ask("GET", "/v1/changes?limit=1")
    assert '"record": {"price": 1.10,  "n": 12345678901234567890}' in first.text
    page = first.json()
    [change] = page["changes"]
    assert (change["key"], change["kind"], change["stream"], change["run"]) == (
        "a",
        "created",
        "orders",
        str(RUN),
    )
    assert change["position"] in page["next"]
    assert page["more"]
    second = changes(server, f"?after={page['next']}")
    assert [c["key"] for c in second["changes"]] == ["b"]
    assert not second["more"]
    assert changes(server, f"?after={second['next']}")["changes"] == []
    assert "record" not in changes(server, "?content=false")["changes"][0]


def test_filters_are_by_name_and_a_page_that_has_nothing_moves_on(server: Server, copy: Copy) -> None:
    copy.write("a")
    copy.write("b", stream="parts", reason="flag")
    assert [c["key"] for c in changes(server, "?connection=plant&stream=parts")["changes"]] == ["b"]
    assert [c["key"] for c in changes(server, "?stream=orders")["changes"]] == ["a"]
    assert [c["key"] for c in changes(server, "?kind=deleted")["changes"]] == ["b"]
    assert len(changes(server, "?kind=deleted&kind=created&connection=plant")["changes"]) == 2
    end = changes(server)["next"]
    assert changes(server, "?kind=updated")["next"].startswith(end)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?after=x", 422, "bad_position"),
        ("?after=1.2", 422, "bad_position"),
        ("?after=9.1.1", 422, "bad_position"),
        ("?after=1.99999999999999.1", 422, "bad_position"),
        ("?connection=nope", 404, "unknown_connection"),
        ("?stream=nope", 404, "unknown_stream"),
        ("?connection=plant&stream=nope", 404, "unknown_stream"),
        ("?kind=gone", 422, "bad_value"),
        ("?limit=0", 422, "bad_value"),
        ("?wait=61", 422, "bad_value"),
        ("?wait=nan", 422, "bad_value"),
        ("?since=1", 422, "unknown_parameter"),
        ("?consumer=nobody", 404, "unknown_consumer"),
        ("?consumer=a%00", 422, "bad_value"),
        ("?stream=%00", 422, "bad_value"),
        ("?consumer=a&after=now", 422, "two_positions"),
    ],
)
def test_what_cannot_be_asked_is_a_problem(
    server: Server, copy: Copy, query: str, status: int, code: str
) -> None:
    answer = server.ask("GET", f"/v1/changes{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_who_is_behind_the_end_of_the_feed_gets_410_and_the_way_on(server: Server, copy: Copy) -> None:
    copy.write("a")
    before = changes(server)["next"]
    copy.write("a", reason="flag")
    with copy.database.transaction() as tx:
        row = tx.execute(
            "DELETE FROM records RETURNING change_xid::text AS xid, change_seq AS seq"
        ).fetchone()
        assert row is not None
        raise_floor(tx, row["xid"], row["seq"])
    copy.write("b")
    answer = server.ask("GET", f"/v1/changes?after={before}")
    assert (answer.status_code, answer.json()["code"]) == (410, "position_expired")
    assert "from the beginning" in answer.json()["hint"]
    assert [c["key"] for c in changes(server)["changes"]] == ["b"]


def test_many_wait_for_a_change_without_holding_up_who_does_not(server: Server, copy: Copy) -> None:
    end = changes(server, "?after=now")["next"]
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(changes, server, f"?after={end}&wait=30") for _ in range(60)]
        wait_until(lambda: not waiting[0].done(), 5, what="the wait")
        begun = time.monotonic()
        assert changes(server, "?after=now")["changes"] == []
        assert server.ask("GET", "/v1/consumers").status_code == 200
        assert time.monotonic() - begun < 5
        copy.write("a")
        answers = [future.result(25) for future in waiting]
    assert time.monotonic() - begun < 20
    assert all([c["key"] for c in answer["changes"]] == ["a"] for answer in answers)


def test_a_wait_that_comes_to_nothing_ends_in_time(server: Server, copy: Copy) -> None:
    copy.write("a")
    begun = time.monotonic()
    page = changes(server, "?kind=deleted&wait=0.6")
    assert 0.5 < time.monotonic() - begun < 10
    assert page["changes"] == []
    assert changes(server, f"?after={page['next']}")["changes"] == []


def test_a_consumer_is_made_moved_listed_and_forgotten(server: Server, copy: Copy) -> None:
    copy.write("a")
    copy.write("b")
    made = server.ask("PUT", "/v1/consumers/warehouse").json()
    assert (made["name"], made["behind"]["changes"], made["expired"]) == ("warehouse", 2, False)
    assert made["behind"]["seconds"] >= 0
    page = changes(server, "?consumer=warehouse&limit=1")
    assert changes(server, "?consumer=warehouse&limit=1") == page  # not before it is committed
    moved = server.ask("PUT", "/v1/consumers/warehouse", json={"position": page["next"]}).json()
    assert (moved["behind"]["changes"], moved["position"]) == (1, page["next"])
    assert [c["key"] for c in changes(server, "?consumer=warehouse")["changes"]] == ["b"]
    assert [c["name"] for c in server.ask("GET", "/v1/consumers").json()["consumers"]] == ["warehouse"]
    assert server.ask("PUT", "/v1/consumers/late", json={"position": "now"}).json()["behind"]["changes"] == 0
    for body in ({"position": "1.99999999999999.1"}, {"position": "x"}, {"pos": "now"}):
        assert server.ask("PUT", "/v1/consumers/warehouse", json=body).status_code == 422
    assert server.ask("DELETE", "/v1/consumers/warehouse").status_code == 204
    assert server.ask("DELETE", "/v1/consumers/warehouse").status_code == 404
    assert server.ask("GET", "/v1/consumers/warehuose").json()["code"] == "unknown_consumer"


def test_a_stranger_reads_nothing(server: Server, copy: Copy) -> None:
    for method, path in (("GET", "/v1/changes"), ("GET", "/v1/consumers"), ("PUT", "/v1/consumers/a"),
                         ("DELETE", "/v1/consumers/a"), ("GET", "/v1/consumers/a")):  # fmt: skip
        assert server.ask(method, path, token=None).status_code == 401


@pytest.fixture
def local(headrace: Command, database_url: str) -> Iterator[Copy]:
    database = Database(database_url, name="test", pool=2)
    with Copy(database, database_url) as made:
        yield made
    database.close()


def test_the_command_shows_changes_and_where_to_go_on(headrace: Command, local: Copy) -> None:
    local.write("a", "x")
    local.write("b", stream="parts", reason="flag")
    said = headrace("changes", "--limit", "1")
    assert said.code == 0
    assert "created" in said.out
    position = said.err.split("--after ")[1].strip()
    [line] = headrace(
        "changes", "plant", "parts", "--after", position, "--jsonl", "--content"
    ).out.splitlines()
    assert (json.loads(line)["kind"], json.loads(line)["record"]["value"]) == ("deleted", 1)
    found = headrace("changes", "--json").json
    assert [c["key"] for c in found["changes"]] == ["a", "b"]
    assert headrace("changes", "--after", found["next"], "--json").json["changes"] == []
    assert headrace("changes", "--after", "x").code == 2
    assert headrace("changes", "nope").code == 3
    assert headrace("changes", "--kind", "gone").code == 2


def test_a_named_reader_goes_on_where_it_was(headrace: Command, local: Copy) -> None:
    for key in "abc":
        local.write(key)
    read = ["changes", "--consumer", "warehouse", "--jsonl", "--limit", "2"]
    assert [json.loads(line)["key"] for line in headrace(*read).out.splitlines()] == ["a", "b"]
    [listed] = headrace("consumers", "--json").json
    assert (listed["name"], listed["behind"]["changes"]) == ("warehouse", 1)
    assert [json.loads(line)["key"] for line in headrace(*read).out.splitlines()] == ["c"]
    assert headrace(*read).out == ""
    assert "warehouse" in headrace("consumers").out
    assert headrace("consumers", "commit", "warehouse", "beginning").code == 0
    assert len(headrace(*read).out.splitlines()) == 2
    assert headrace("consumers", "delete", "warehouse").code == 0
    assert headrace("consumers", "delete", "warehouse").code == 3


def test_what_could_not_be_printed_is_not_remembered(headrace: Command, local: Copy, tmp_path: Path) -> None:
    local.write("a")
    assert headrace("changes", "--consumer", "warehouse", "--jsonl").code == 0
    local.write("b")
    end, start = os.pipe()
    os.close(end)  # whoever was to hear it has gone
    subprocess.run(
        [sys.executable, "-P", "-m", "scheduler.cli", "changes", "--consumer", "warehouse", "--jsonl"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stdout=start, stderr=subprocess.DEVNULL,
        check=False, timeout=60,
    )  # fmt: skip
    os.close(start)
    assert "b" in headrace("changes", "--consumer", "warehouse", "--jsonl").out


def test_a_named_reader_that_takes_one_object_goes_on_behind_it(headrace: Command, local: Copy) -> None:
    local.write("a")
    read = ["changes", "--consumer", "warehouse", "--json"]
    assert [change["key"] for change in headrace(*read).json["changes"]] == ["a"]
    assert headrace(*read).json["changes"] == []


def test_the_command_says_what_holds_the_feed_back(headrace: Command, local: Copy) -> None:
    blocker = local.begin()
    blocker.execute("CREATE TABLE held ()")
    local.write("a")
    assert headrace("changes", "--json").json["changes"] == []
    found = headrace("changes", "--status", "--json").json
    assert found["held_back"] == 1
    assert found["holders"][0]["pid"] == blocker.info.backend_pid
    assert str(blocker.info.backend_pid) in headrace("changes", "--status").out
    blocker.execute("ROLLBACK")


def test_who_follows_sees_what_comes(headrace: Command, local: Copy, tmp_path: Path) -> None:
    local.write("before")
    following = subprocess.Popen(
        [sys.executable, "-P", "-m", "scheduler.cli", "changes", "--after", "beginning", "--follow", "--jsonl"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - it is a system call
    )  # fmt: skip
    stop = threading.Timer(60, following.kill)
    stop.start()
    try:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["key"] == "before"
        local.write("after", stream="parts")
        assert json.loads(following.stdout.readline())["key"] == "after"
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130
    finally:
        stop.cancel()
        following.kill()
        following.wait()
        following.stdout.close()  # type: ignore[union-attr]
