"""From the door to the copy: what a webhook said is in it, whatever came before, twice, or in another order."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from servers.systems.knocking import SYSTEMS, Door, signed
from servers.systems.telling import manifest_text

from scheduler.beat import hearing
from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

pytestmark = pytest.mark.integration


class Copying:
    """A worker for what comes in at the door; the system itself can't be reached."""

    def __init__(self, services: Services, door: Door) -> None:
        self.services, self.door = services, door
        self.name = door.connect("whole")
        self.connection = door.ids[self.name]
        row = door.database.one(
            "SELECT id FROM streams WHERE connection_id = %(id)s AND name = 'parts'", {"id": self.connection}
        )
        assert row
        self.parts = row["id"]

    def tell(self, kind: str, key: str, rev: int = 0, **more: Any) -> int:
        """How many events of it were new."""
        body = {"kind": kind, "id": key, "row": {"id": key, "rev": rev, **more}}
        answer = self.door.send(self.name, body)
        assert answer.status_code == 200, answer.text
        found: int = answer.json()["new"]
        return found

    def work(self) -> None:
        """All runs of events that wait."""
        for run in self.door.runs(self.name):
            if run["track"] == "events":
                carry_out(self.services, run["id"])

    def copy(self) -> dict[str, Any]:
        rows = self.door.database.all(
            "SELECT key, raw FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL", {"s": self.parts}
        )
        return {row["key"]: row["raw"] for row in rows}

    def outcomes(self) -> list[tuple[str, str, str | None]]:
        return [(event["kind"], event["state"], event["outcome"]) for event in self.door.events(self.name)]


@pytest.fixture(scope="module")
def services(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("copying")
    (folder / "whole").mkdir()
    (folder / "whole" / "manifest.yaml").write_text(manifest_text(SYSTEMS["whole"], system="whole"))
    url = door.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    settings = load_settings(
        database_url=SecretStr(url), broker_url=SecretStr("redis://127.0.0.1:1/0"), connectors=(folder,)
    )
    opened = Services.open(settings, name="test")
    yield opened
    opened.close()


@pytest.fixture
def copying(services: Services, door: Door) -> Copying:
    return Copying(services, door)


def test_whole_records_that_come_out_of_order_leave_the_newest(copying: Copying) -> None:
    for rev in (2, 1, 4, 3):
        assert copying.tell("part", "P-1", rev, name=f"as of {rev}") == 1
        copying.work()
    assert copying.copy() == {"P-1": {"id": "P-1", "rev": 4, "name": "as of 4"}}
    assert [outcome for _, _, outcome in copying.outcomes()] == ["created", "older", "updated", "older"]
    for rev in (6, 7, 5):
        copying.tell("part", "P-1", rev, name=f"as of {rev}")
    copying.work()
    assert copying.copy()["P-1"]["rev"] == 7, "nor does it matter if they wait together"


def test_a_delete_that_the_manifest_believes_needs_no_question(copying: Copying) -> None:
    for key in ("P-1", "P-2"):
        copying.tell("part", key, 1)
    copying.work()
    copying.tell("gone", "P-1")
    copying.tell("gone", "never heard of")
    copying.work()
    assert set(copying.copy()) == {"P-2"}
    assert [outcome for _, _, outcome in copying.outcomes()][2:] == ["deleted", "absent"]
    row = copying.door.database.one(
        "SELECT delete_reason, cause_kind FROM records WHERE stream_id = %(s)s AND key = 'P-1'",
        {"s": copying.parts},
    )
    assert row
    assert row["cause_kind"] == "event"


def test_a_connection_that_is_paused_takes_webhooks_and_does_them_when_it_is_resumed(
    copying: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "publish", list)
    database, number = copying.door.database, {"id": copying.connection}
    database.run("UPDATE connections SET paused_at = now() WHERE id = %(id)s", number)
    assert copying.tell("part", "P-1", 1) == 1
    assert copying.door.runs(copying.name) == [], "nobody is woken for it"
    hearing.remember_events(copying.services)
    assert copying.door.runs(copying.name) == []
    database.run("UPDATE connections SET paused_at = NULL WHERE id = %(id)s", number)
    hearing.remember_events(copying.services)
    copying.work()
    assert set(copying.copy()) == {"P-1"}


def test_a_word_about_a_paused_stream_waits_as_a_run_that_nobody_begins(copying: Copying) -> None:
    database, number = copying.door.database, {"id": copying.connection}
    database.run("UPDATE connections SET paused_at = now() WHERE id = %(id)s", number)
    copying.tell("any", "")
    (run,) = copying.door.runs(copying.name)
    assert (run["track"], run["state"]) == ("live", "queued")
    carry_out(copying.services, run["id"])
    assert copying.door.runs(copying.name)[0]["state"] == "queued"


def test_events_for_a_stream_that_is_switched_off_are_answered_and_not_kept(copying: Copying) -> None:
    copying.door.database.run("UPDATE streams SET enabled = false WHERE id = %(id)s", {"id": copying.parts})
    assert copying.tell("part", "P-1", 1) == 0
    assert copying.outcomes() == []


def test_of_events_that_came_together_the_good_ones_are_taken_and_the_others_counted(
    copying: Copying,
) -> None:
    body = [{"kind": "gone", "id": {"odd": 1}}, {"kind": "part", "row": {"id": "P-1", "rev": 1}},
            {"kind": "gone", "id": 1.5}, {"kind": "unheard of"}]  # fmt: skip
    answer = copying.door.send(copying.name, body)
    assert answer.json() == {"events": 1, "new": 1}
    copying.work()
    assert set(copying.copy()) == {"P-1"}
    (refused,) = copying.door.refusals(copying.name)
    assert (refused["reason"], "where a text or whole number belongs" in refused["words"]) == (
        "malformed",
        True,
    )


def test_a_place_for_a_time_that_says_never_stops_no_run(copying: Copying) -> None:
    copying.door.database.run(
        "UPDATE connections SET clock_skew = 5 WHERE id = %(id)s", {"id": copying.connection}
    )
    copying.door.send(
        copying.name, {"kind": "part", "when": "0001-01-01T00:00:00Z", "row": {"id": "P-1", "rev": 1}}
    )
    copying.work()
    assert set(copying.copy()) == {"P-1"}


def test_a_name_may_hold_a_slash(copying: Copying) -> None:
    name = copying.door.connect(name=f"north/{copying.name}")
    assert copying.door.send(name.replace("/", "%2F")).json()["new"] == 1
    assert copying.door.send(name).status_code == 403, "written plainly it is a path"


def test_what_comes_again_is_answered_alike_and_done_once(copying: Copying) -> None:
    body = json.dumps({"kind": "part", "row": {"id": "P-1", "rev": 1}}).encode()
    sent = signed(body, id_="d-1")
    answers = [copying.door.api.ask("POST", f"/webhooks/{copying.name}", **sent) for _ in range(3)]
    assert [answer.json()["new"] for answer in answers] == [1, 0, 0]
    assert {answer.status_code for answer in answers} == {200}
    copying.work()
    assert copying.outcomes() == [("full", "done", "created")]
