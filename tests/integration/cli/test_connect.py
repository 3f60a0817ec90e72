"""`headrace connect`: at the command line, with a secret that is referenced, typed, or handed out by OAuth 2.0."""

import io
import json
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from servers.installation.commands import Command
from servers.systems.consenting import CLIENT, CLIENT_SECRET, consenting, write_manifest
from servers.systems.demo import Demo

from scheduler.connections.resolve import find_connection
from worker.db.database import Database

pytestmark = pytest.mark.integration


def test_a_system_is_connected_and_its_streams_are_listed(
    headrace: Command, demo: Demo, database: Database
) -> None:
    where = ["--setting", f"base_url={demo.base_url}", "--name", "Plant"]
    wrong = headrace("connect", "demo", *where, "--secret", "token=env://HEADRACE_NO_SUCH", "--json")
    assert wrong.code == 1
    assert database.all("SELECT 1 FROM connections") == []
    done = headrace("connect", "demo", *where, "--secret", f"token=file://{demo.token_file}", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["streams_missing"] == []
    assert find_connection(database, "Plant")["id"] == said["connection"]


def test_what_is_known_to_be_wrong_is_said_before_anything_is_typed(
    headrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ["--store", f"file://{tmp_path}/"]
    for wrong, said in (
        (["--name", "a\nb"], "--name: "), (["--tenant", "a\nb"], "--tenant: "), (["--store", "env://A"], "--store: "),
    ):  # fmt: skip
        monkeypatch.setattr("sys.stdin", io.StringIO("never read\n"))
        done = headrace("connect", "demo", *store, *wrong)
        assert (done.code, done.err.startswith(f"Error: {said}")) == (2, True), done.err
    monkeypatch.setattr("sys.stdin", io.StringIO())
    unasked = headrace("connect", "demo", *store)
    assert (unasked.code, "Give --setting base_url=VALUE." in unasked.err) == (2, True), unasked.err


def test_what_a_system_has_is_described_as_it_is_connected(
    headrace: Command, database: Database, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "plant.db")) as plant:
        for table in ("parts", "orders"):
            plant.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name TEXT)")
    url = f"url=sqlite:///{tmp_path}/plant.db"
    none = headrace("connect", "sql", "--setting", url, "--stream", "part")
    assert (none.code, "Did you mean 'parts'?" in none.err) == (2, True), none.err
    closed = headrace(
        "connect",
        "demo",
        "--setting",
        "base_url=http://127.0.0.1:9",
        "--stream",
        "parts",
        "--store",
        "file:///x/",
    )
    assert (closed.code, "takes no others" in closed.err) == (2, True), closed.err
    done = headrace("connect", "sql", "--name", "Plant", "--setting", url, "--stream", "parts")
    assert done.code == 0, done.err
    settings = find_connection(database, "Plant")["settings"]
    assert settings["describe"]["streams"].keys() == {"parts"}

    file = tmp_path / "describe.yaml"
    assert headrace("discover", "Plant", "--stream", "orders", "--write", str(file)).code == 0
    both = headrace(
        "connect", "sql", "--name", "B", "--setting", url, "--describe", str(file), "--stream", "parts"
    )
    assert both.code == 0, both.err
    streams = database.all(
        "SELECT s.name FROM streams s JOIN connections c ON c.id = connection_id WHERE c.name = 'B'"
    )
    assert sorted(row["name"] for row in streams) == ["orders", "parts"]
    file.write_text("streams: {}")
    wrong = headrace("connect", "sql", "--setting", url, "--describe", str(file))
    assert (wrong.code, "holds `describe`" in wrong.err) == (2, True), wrong.err


def test_somebody_logs_in_in_a_browser_on_this_machine(
    headrace: Command, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_CONNECTORS", str(write_manifest(tmp_path / "connectors")))
    monkeypatch.setenv("OUR_CLIENT", CLIENT)
    monkeypatch.setenv("OUR_CLIENT_SECRET", CLIENT_SECRET)
    (tmp_path / "store").mkdir()
    shown: list[str] = []
    told = threading.Event()

    def hear(text: str) -> None:
        shown.append(text)
        if "/authorize" in text:
            told.set()

    monkeypatch.setattr("scheduler.cli.commands.consent.connecting.note", hear)

    def browse() -> None:
        if told.wait(20):
            found = re.search(r"http\S+/authorize\S+", " ".join(shown))
            assert found
            httpx.get(found[0], follow_redirects=True, trust_env=False)

    with consenting() as system:
        person = threading.Thread(target=browse)
        person.start()
        done = headrace(
            "connect", "consenting", "--name", "Acme", "--tenant", "acme", "--setting", f"port={system.port}",
            "--secret", "client_id=env://OUR_CLIENT", "--secret", "client_secret=env://OUR_CLIENT_SECRET",
            "--store", f"file://{tmp_path}/store/",
        )  # fmt: skip
        person.join(30)
        assert done.code == 0, done.err + done.out
        row = find_connection(database, "Acme")
        kept = Path(row["secrets"]["refresh_token"].removeprefix("file://")).read_text()
        assert kept in system.refresh
    assert row["tenant"] == "acme"
    assert kept not in done.out + done.err
