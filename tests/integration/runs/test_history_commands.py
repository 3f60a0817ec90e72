"""Histories and re-syncs as people and programs ask for them: the commands, and the routes of the API."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from servers.installation.application import Application
from servers.systems.mill import Works, iso, past, running_works

from scheduler.cli.entry import run
from scheduler.connections.systems import forget_systems
from worker.engine.history import slices as cutting
from worker.engine.perform import carry_out

pytestmark = pytest.mark.integration

Command = Callable[..., Any]


@pytest.fixture
def works(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Works]:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    monkeypatch.setenv("HEADRACE_BROKER_URL", broker_url)
    monkeypatch.setenv("HEADRACE_CONNECTORS", str(tmp_path / "connectors"))
    monkeypatch.setattr(cutting, "FIRST_PAGES", 3)
    monkeypatch.setattr(cutting, "LEAST_PAGES", 3)
    monkeypatch.setattr(cutting, "WORK", 0.0)
    forget_systems()
    with running_works(database_url, broker_url, tmp_path) as found:
        yield found
    forget_systems()


@pytest.fixture
def command(works: Works, capfd: pytest.CaptureFixture[str]) -> Command:
    """A command's JSON, or what it said where it isn't."""

    def carried_out(*arguments: str, code: int = 0) -> Any:
        capfd.readouterr()
        ended = run(arguments)
        said = capfd.readouterr()
        assert ended == code, said.out + said.err
        return json.loads(said.out) if "--json" in arguments and said.out else said.out + said.err

    return carried_out


@pytest.fixture
def api(works: Works) -> Application:
    return Application(works.services.database)


def test_progress_and_forecast_before_during_and_after(works: Works, command: Command) -> None:
    past(works, 150, days=100)
    stream = works.stream()

    def shown() -> Any:
        (row,) = command("history", "m", "orders", "--json")["histories"]
        return row

    assert (shown()["state"], shown()["left"]["records"]) == ("not begun", 0)
    works.live(stream)
    before = shown()
    assert (before["state"], before["records"], before["left"]["records"]) == ("queued", 0, None)
    assert before["slices"] == {"done": 0, "total": None}
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    during = shown()
    assert during["state"] == "queued"
    assert 0 < during["records"] < 150
    assert during["left"]["records"] == pytest.approx(150 - during["records"], abs=10)
    assert during["left"]["requests"] == pytest.approx(during["left"]["records"] / 10, abs=1)
    assert during["left"]["seconds"] is not None
    assert 0 < during["share"] < 1
    works.finish(stream)
    after = shown()
    assert (after["state"], after["left"]["records"], after["share"]) == ("done", 0, 1.0)
    assert after["slices"]["done"] == after["slices"]["total"] > 2
    assert "done" in command("history", "m")


def test_a_forecast_counts_what_the_account_may_send(works: Works, command: Command) -> None:
    home = works.services.settings.connectors[0] / "mill" / "manifest.yaml"
    home.write_text(home.read_text().replace("defaults:", "limits: {requests: 1, per: 30s}\ndefaults:"))
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    works.turn(stream, slice_=0.0)
    (row,) = command("history", "m", "orders", "--json")["histories"]
    left = row["left"]
    assert left["seconds"] >= 30 * (left["requests"] - 2) > 100


def test_a_longer_history_is_foretold_before_it_is_applied(
    works: Works, command: Command, tmp_path: Path
) -> None:
    past(works, 100, days=100)
    stream = works.stream(history_days=30)
    works.live(stream)
    works.finish(stream)
    file = tmp_path / "connections.yaml"
    command("export-config", str(file))
    command("apply", str(file))
    file.write_text(file.read_text().replace('"30d"', '"90d"'))
    left = command("apply", str(file), "--dry-run", "--json")["forecasts"]["m / orders"]
    assert left["records"] == pytest.approx(60, abs=8)
    assert left["requests"] == pytest.approx(6, abs=3)
    assert left["seconds"] is not None
    said = command("apply", str(file), "--dry-run")
    assert f"m / orders: its longer history is about {left['records']} records in" in said
    assert works.row(stream)["history_done_at"] is not None, "nothing was changed"
    command("apply", str(file))
    (shown,) = command("history", "m", "orders", "--json")["histories"]
    assert shown["left"]["records"] == left["records"]


def test_a_pause_stops_it_at_its_next_page_and_a_resume_goes_on_there(works: Works, command: Command) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    so_far = works.copy(stream)
    assert command("history", "m", "orders", "--pause", "--json") == {"streams": ["orders"]}
    assert works.history(stream) is None
    works.live(stream)
    assert works.history(stream) is None, "no live run asks for it"
    (row,) = command("history", "m", "--json")["histories"]
    assert row["state"] == "paused"
    assert command("history", "m", "--resume", "--json") == {"streams": ["orders"]}
    asked = len(works.mill.asked)
    works.finish(stream)
    assert works.copy(stream) == works.mill.records
    read = (len(works.mill.asked) - asked) * 10
    assert read < 150 - len(so_far) + 80, "it began where it stopped"
    assert command("history", "m", "--pause", "--json") == {"streams": []}


def test_a_run_at_work_gives_up_at_its_next_page(
    works: Works, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    loads = 0

    def answers(asked: Any) -> Any:
        nonlocal loads
        loads += 1
        if loads == 3:
            command("history", "m", "--pause")
        return works.mill(asked)

    works.serve(answers)
    run_id = works.history(stream)
    assert run_id is not None
    carry_out(works.services, run_id)
    ended = works.services.database.one(
        "SELECT state, pages FROM run_history WHERE id = %(r)s", {"r": run_id}
    )
    assert ended is not None
    assert ended["state"] == "cancelled"
    assert ended["pages"] < 10
    assert works.row(stream)["history_paused_at"] is not None


def test_a_resume_lets_a_run_that_was_to_give_up_go_on(works: Works, command: Command) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    works.services.database.run(
        "UPDATE runs SET state = 'running', claim_no = claim_no + 1, lease_until = now() + interval '1 hour'"
        " WHERE track = 'history'"
    )
    command("history", "m", "--pause")
    asked = works.services.database.one("SELECT cancel_requested_at FROM runs WHERE track = 'history'")
    assert asked is not None
    assert asked["cancel_requested_at"] is not None
    command("history", "m", "--resume")
    rows = works.services.database.all(
        "SELECT state, cancel_requested_at FROM runs WHERE track = 'history' ORDER BY id"
    )
    assert [(row["state"], row["cancel_requested_at"]) for row in rows] == [
        ("running", None),
        ("queued", None),
    ]
    assert works.row(stream)["history_paused_at"] is None


def test_a_stream_that_is_off_is_not_resumed(works: Works, command: Command) -> None:
    past(works, 60, days=60)
    stream = works.stream()
    works.live(stream)
    command("history", "m", "--pause")
    works.services.database.run("UPDATE streams SET enabled = false")
    assert command("history", "m", "--resume", "--json") == {"streams": []}
    assert works.history(stream) is None


def test_a_failed_history_is_shown_with_its_error_and_resumed_at_once(works: Works, command: Command) -> None:
    past(works, 60, days=60)
    stream = works.stream()
    works.live(stream)
    works.mill.fails = set(range(len(works.mill.asked) + 1, 10_000))
    works.turn(stream)
    works.turn(stream)
    works.mill.fails = set()
    works.live(stream)
    (row,) = command("history", "m", "--json")["histories"]
    assert (row["state"], row["failures"], row["error"]["code"]) == ("failed", 1, "system_error")
    assert row["next_at"] is not None
    command("history", "m", "orders", "--resume")
    assert works.row(stream)["history_next_at"] is None
    works.finish(stream)
    assert works.copy(stream) == works.mill.records


class TestResync:
    @pytest.fixture
    def stream(self, works: Works) -> int:
        past(works, 100, days=100)
        found = works.stream()
        works.live(found)
        works.finish(found)
        return found

    def test_a_dry_run_says_what_it_would_take_and_asks_for_nothing(
        self, works: Works, command: Command, stream: int
    ) -> None:
        def forecast(*scope: str) -> Any:
            return command("resync", "m", "orders", *scope, "--dry-run", "--json")["forecast"]

        by_ids = forecast("--ids", "r0003,r0004")
        assert (by_ids["records"], by_ids["requests"]) == (2, 2)
        everything = forecast("--all")
        assert (everything["records"], everything["requests"]) == (100, pytest.approx(10, abs=4))
        since = iso(works.now() - timedelta(days=40))
        assert forecast("--since", since)["records"] == 40
        assert forecast("--since", "40d", "--until", "20d")["records"] == 20
        assert forecast("--filter", "site=north")["records"] is None
        assert works.services.database.all("SELECT id FROM runs") == []

    def test_records_are_asked_for_by_ids_of_a_file(
        self, works: Works, command: Command, stream: int, tmp_path: Path
    ) -> None:
        works.mill.put("r0003", works.now(), name="another")
        file = tmp_path / "ids.txt"
        file.write_text("r0003\n\n r0004 \n")
        wanted = command("resync", "m", "orders", "--ids-file", str(file), "--json")
        row = works.services.database.one("SELECT id, lane, queue, scope, track FROM runs")
        assert row is not None
        assert (str(row["id"]), row["lane"], row["queue"]) == (wanted["id"], 2, "sync.mill.live")
        assert (row["track"], row["scope"]) == ("records", {"ids": ["r0003", "r0004"]})
        carry_out(works.services, row["id"])
        assert works.copy(stream)["r0003"]["name"] == "another"
        works.stream("lots")
        command("resync", "m", "lots", "--ids", "r0003")
        (row,) = works.services.database.all("SELECT queue FROM runs")
        assert row["queue"] == "sync.mill.bulk", "all of it has to be read for that"
        file.write_text("\n".join(f"r{number}" for number in range(201)))
        command("resync", "m", "orders", "--ids-file", str(file))
        queues = works.services.database.all("SELECT DISTINCT queue FROM runs")
        assert queues == [{"queue": "sync.mill.bulk"}], "long work"
        assert command("resync", "m", "orders", "--ids", "r0003", "--json")["joined"] is False
        assert command("resync", "m", "orders", "--ids", "r0003", "--json")["joined"] is True

    def test_what_means_nothing_is_refused(self, works: Works, command: Command) -> None:
        works.stream()
        for options, code in (
            ([], "bad_scope"),
            (["--all", "--ids", "1"], "bad_scope"),
            (["--ids", ","], "bad_scope"),
            (["--ids-file", "/nowhere/at/all"], "bad_file"),
            (["--filter", "north"], "bad_filter"),
            (["--filter", "sight=north"], "unknown_filter"),
            (["--since", "yesterday"], "bad_time"),
            (["--since", "1d", "--until", "2d"], "bad_scope"),
        ):
            assert code in str(command("resync", "m", "orders", *options, "--json", code=2)), options
        assert works.services.database.all("SELECT id FROM runs") == []

    def test_nothing_is_read_again_of_a_connection_that_is_paused(
        self, works: Works, command: Command
    ) -> None:
        works.stream()
        works.services.database.run("UPDATE connections SET paused_at = now()")
        said = command("resync", "m", "orders", "--all", "--json", code=2)
        assert "connection_paused" in str(said)
        assert works.services.database.all("SELECT id FROM runs") == []

    def test_the_api_takes_a_scope(self, works: Works, api: Application, stream: int) -> None:
        body = {"streams": ["orders"], "scope": {"ids": ["r0003", "r0004"]}}
        answer = api.post("/v1/connections/m/syncs", body)
        assert answer.status_code == 202, answer.text
        (wanted,) = answer.json()["runs"]
        assert wanted["forecast"]["records"] == 2
        assert answer.headers["location"] == wanted["url"] == f"/v1/runs/{wanted['id']}"
        shown = api.get(wanted["url"]).json()
        assert (shown["track"], shown["scope"]) == ("records", {"ids": ["r0003", "r0004"]})

    def test_the_api_refuses_what_means_nothing(self, works: Works, api: Application) -> None:
        works.stream()
        works.stream("lots")
        for body, code in (
            ({"scope": {"all": True}}, "bad_scope"),
            ({"streams": ["orders", "lots"], "scope": {"all": True}}, "bad_scope"),
            ({"streams": ["orders"], "scope": {}}, "bad_scope"),
            ({"streams": ["orders"], "scope": {"filters": {"sight": "x"}}}, "unknown_filter"),
            ({"streams": ["orders"], "scope": {"since": "soon"}}, "bad_time"),
            ({"streams": ["orders"], "scope": {"ids": [7]}}, "bad_value"),
        ):
            answer = api.post("/v1/connections/m/syncs", body)
            assert (answer.status_code, answer.json()["code"]) == (422, code), body


def test_the_api_shows_pauses_and_resumes_histories(works: Works, api: Application) -> None:
    past(works, 150, days=100)
    stream = works.stream()
    works.live(stream)
    works.turn(stream, slice_=0.0)
    works.turn(stream, slice_=0.0)
    (row,) = api.get("/v1/connections/m/history?stream=orders").json()["histories"]
    assert row["state"] == "queued"
    assert row["left"]["records"] > 0
    paused = api.post("/v1/connections/m/history", {"action": "pause"})
    assert paused.json() == {"streams": ["orders"]}
    assert works.history(stream) is None
    resumed = api.post("/v1/connections/m/history", {"action": "resume", "stream": "orders"})
    assert resumed.json() == {"streams": ["orders"]}
    assert works.history(stream) is not None
    assert api.get("/v1/connections/m/history?stream=other").status_code == 404
    assert api.post("/v1/connections/m/history", {"action": "stop"}).status_code == 422


def test_before_anything_of_it_is_read_the_first_live_run_says_how_dense_it_is(
    works: Works, command: Command
) -> None:
    past(works, 1000, days=100)
    stream = works.stream(history_days=90)
    works.live(stream)
    (row,) = command("history", "m", "--json")["histories"]
    assert row["state"] == "queued"
    assert row["left"]["records"] == pytest.approx(900, rel=0.2)
    assert row["left"]["requests"] == pytest.approx(90, rel=0.5)
