"""The commands against a real database, and `headrace up` with everything that it starts."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from servers.installation.commands import Command, hear_interrupts
from servers.waiting import wait_until

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0


FILE = """\
version: 1
connections:
  - id: plant
    system: demo
    settings: {base_url: "http://127.0.0.1:9"}
    secrets: {token: "env://HEADRACE_TEST_TOKEN"}
    schedule: {every: 15m}
    history: 90d
"""


@pytest.fixture
def plant(headrace: Command, tmp_path: Path) -> Path:
    """A connection to a demo system that isn't there."""
    file = tmp_path / "connections.yaml"
    file.write_text(FILE)
    assert headrace("apply", str(file)).code == 0
    return file


def test_a_file_is_applied_shown_and_exported_without_change(
    headrace: Command, plant: Path, tmp_path: Path
) -> None:
    [listed] = headrace("connections", "--json").json
    assert (listed["name"], listed["system"], listed["streams"]) == ("plant", "demo", 7)
    assert "plant" in headrace("connections").out
    shown = headrace("connections", "show", "plant", "--json").json
    assert shown["secrets"] == {"token": "env://HEADRACE_TEST_TOKEN"}
    assert {stream["name"] for stream in shown["streams"]} >= {"sites", "work_orders"}
    exported = tmp_path / "exported.yaml"
    assert headrace("export-config", str(exported)).code == 0
    assert headrace("apply", str(exported), "--json").json["changes_something"] is False
    assert headrace("export-config", str(exported)).code == 2


def test_a_dry_run_changes_nothing(headrace: Command, tmp_path: Path) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(FILE)
    said = headrace("apply", str(file), "--dry-run")
    assert (said.code, "Nothing was changed yet" in said.out) == (0, True)
    assert headrace("connections", "--json").json == []


def test_a_wrong_file_is_met_with_line_and_nearest_name(headrace: Command, tmp_path: Path) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(FILE.replace("schedule:", "shedule:"))
    said = headrace("apply", str(file))
    assert said.code == 2
    assert f"{file}:7" in said.err
    assert "'schedule'" in said.err
    assert headrace("connections", "--json").json == []


def test_pruning_is_confirmed_or_not_done(headrace: Command, plant: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("version: 1\nconnections: []\n")
    said = headrace("apply", str(empty), "--prune")
    assert said.code == 2
    assert "plant" in said.err
    assert len(headrace("connections", "--json").json) == 1
    assert headrace("apply", str(empty), "--prune", "--yes").code == 0
    assert headrace("connections", "--json").json == []


def test_a_sync_is_asked_for_shown_and_cancelled(headrace: Command, plant: Path) -> None:
    asked = headrace("sync", "plant", "sites", "--json").json
    [wanted] = asked["runs"]
    assert (wanted["ahead"], wanted["begins_in"]) == (0, None)  # nobody serves its queue
    assert "no worker serves its queue" in headrace("sync", "plant", "sites").out
    assert headrace("sync", "plant", "sites", "--json").json["runs"] == [wanted | {"joined": True}]
    [listed] = headrace("runs", "--connection", "plant", "--json").json
    assert (listed["id"], listed["state"], listed["cause"]) == (wanted["id"], "queued", "cli")
    shown = headrace("runs", "show", wanted["id"][:18], "--json").json
    assert shown["request_id"].startswith("cli-")
    assert wanted["id"] in headrace("runs", "show", wanted["id"]).out
    assert headrace("runs", "cancel", wanted["id"], "--json").json["outcome"] == "cancelled"
    assert headrace("runs", "cancel", wanted["id"]).code == 3
    assert headrace("runs", "--state", "cancelled", "--json").json[0]["id"] == wanted["id"]
    assert headrace("runs", "--state", "queued", "--json").json == []


def test_who_waits_for_a_run_that_comes_to_nothing_gets_exit_code_1(
    headrace: Command, plant: Path, tmp_path: Path
) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-P", "-m", "scheduler.cli", "sync", "plant", "sites", "--wait", "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        [queued] = wait_until(lambda: headrace("runs", "--json").json, PATIENCE, what="the run")
        assert headrace("runs", "cancel", queued["id"]).code == 0
        out, err = waiting.communicate(timeout=PATIENCE)
    finally:
        waiting.kill()
    assert waiting.returncode == 1, err
    assert [run["state"] for run in json.loads(out)["runs"]] == ["cancelled"]
    assert "sites: cancelled" in err


def test_who_stops_waiting_leaves_the_run_alone(headrace: Command, plant: Path, tmp_path: Path) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-P", "-m", "scheduler.cli", "sync", "plant", "sites", "--wait"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - it is a system call
    )  # fmt: skip
    try:
        assert waiting.stderr is not None
        assert "queued" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(PATIENCE) == 130
        rest = waiting.stderr.read()
    finally:
        waiting.kill()
        waiting.wait()
        waiting.stderr.close()  # type: ignore[union-attr]
    assert "Traceback" not in rest
    assert "The runs go on" in rest
    assert [run["state"] for run in headrace("runs", "--json").json] == ["queued"]


def test_a_paused_connection_starts_nothing_until_it_is_resumed(headrace: Command, plant: Path) -> None:
    assert headrace("pause", "plant", "--json").json == {
        "connection": "plant",
        "paused": True,
        "changed": True,
        "running": 0,
    }
    said = headrace("sync", "plant")
    assert said.code == 2
    assert "headrace resume plant" in said.err
    assert headrace("runs", "--json").json == []
    assert "paused already" in headrace("pause", "plant").out
    assert headrace("resume", "plant", "--json").json["changed"] is True
    assert headrace("sync", "plant", "sites").code == 0


def test_what_isnt_there_is_one_clear_sentence(headrace: Command, plant: Path) -> None:
    for arguments, code, words in (
        (["connections", "show", "plnt"], 3, "'plant'"),
        (["sync", "plant", "site"], 3, "'sites'"),
        (["records", "plant", "nope"], 3, "plant has no stream"),
        (["runs", "show", "01990000"], 3, "There is no run"),
        (["runs", "show", "xyz"], 2, "hexadecimal"),
        (["runs", "--connection", "nope"], 3, "nope"),
        (["apply", "nope.yaml"], 2, "nope.yaml"),
        (["worker", "--system", "dmo"], 3, "'demo'"),
    ):
        said = headrace(*arguments)
        assert (said.code, said.out) == (code, ""), arguments
        assert words in said.err
        assert said.err.count("\n") == 1


def test_the_beginning_of_an_id_must_be_the_only_one(
    headrace: Command, plant: Path, database_url: str
) -> None:
    headrace("sync", "plant")
    runs = headrace("runs", "--json").json
    said = headrace("runs", "show", runs[0]["id"][:4])
    assert said.code == 2
    assert runs[-1]["id"] in said.err


def _fill(database_url: str, count: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, deleted_at,
                   cause_kind, cause_id, change_kind)
               SELECT s.bucket, s.id, lpad(n::text, 6, '0'), json_build_object('id', n, 'name', 'Site ' || n),
                      gen_random_uuid(), now(), now(), CASE WHEN n = 7 THEN now() END, 'run', gen_random_uuid(),
                      CASE WHEN n = 7 THEN 'deleted' ELSE 'created' END
                 FROM streams s, generate_series(1, %s) n WHERE s.name = 'sites'""",
            [count],
        )


def test_records_come_in_every_form_and_none_is_lost_between_pages(
    headrace: Command, plant: Path, database_url: str
) -> None:
    _fill(database_url, 2345)
    lines = headrace("records", "plant", "sites", "--all", "--jsonl").out.splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    assert keys == [f"{n:06}" for n in range(1, 2346) if n != 7]
    table = list(csv.DictReader(io.StringIO(headrace("records", "plant", "sites", "--all", "--csv").out)))
    assert [row["name"] for row in table[:2]] == ["Site 1", "Site 2"]
    assert len(table) == 2344
    assert len(headrace("records", "plant", "sites", "--all", "--deleted", "--json").json) == 2345
    some = headrace("records", "plant", "sites", "--limit", "3")
    assert "Site 3" in some.out
    assert "Site 4" not in some.out
    assert "--all" in some.err


def test_who_reads_a_few_lines_and_leaves_ends_it_quietly(
    headrace: Command, plant: Path, database_url: str, tmp_path: Path
) -> None:
    _fill(database_url, 20_000)
    command = f"{sys.executable} -P -m scheduler.cli records plant sites --all --jsonl | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["key"] == "000001"


def test_the_doctor_says_what_is_missing_and_what_to_do(
    headrace: Command, plant: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE streams SET next_run_at = now() - interval '1 hour' WHERE name = 'sites'")
        connection.execute(
            "UPDATE streams SET failures = 3, last_error_code = 'refused', last_error = 'Token expired.' WHERE name = 'assets'"
        )
    said = headrace("doctor", "--json")
    assert said.code == 1
    found = {(line["check"], line["level"]) for line in said.json}
    assert {
        ("database", "ok"),
        ("storage", "ok"),
        ("broker", "ok"),
        ("beat", "fail"),
        ("workers", "fail"),
        ("schedule", "fail"),
    } <= found
    assert {("streams", "fail"), ("secrets", "warn")} <= found
    assert any("Token expired." in line["words"] for line in said.json)
    assert all(line["hint"] for line in said.json if line["level"] == "fail")
    assert "headrace beat" in headrace("doctor").out


def test_the_doctor_needs_no_database_to_say_that_there_is_none(
    headrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", "postgresql://u:hunter2hunter2@127.0.0.1:9/x")
    said = headrace("doctor", "--json")
    assert said.code == 1
    assert ("database", "fail") in {(line["check"], line["level"]) for line in said.json}
    assert "hunter2" not in said.out + said.err
    said = headrace("runs")
    assert (said.code, "hunter2" in said.err) == (4, False)


def test_a_foreign_or_empty_database_is_refused_with_what_to_do(
    headrace: Command, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", empty_database_url)
    said = headrace("runs")
    assert (said.code, "headrace migrate" in said.err) == (1, True)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int)")
    said = headrace("migrate")
    assert (said.code, "orders" in said.err) == (1, True)
