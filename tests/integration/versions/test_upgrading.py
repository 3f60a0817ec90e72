"""A connection goes from one version of its system's manifest to another, and back, on a real database."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.types.json import Jsonb
from servers.systems.versioned import Plant, part

from scheduler.connections.upgrading.pinning import tend_pins
from worker.connectors.registry import Registry
from worker.db.manifests import KeptManifests
from worker.engine.deletes import refit
from worker.engine.perform import carry_out
from worker.errors import InvalidInput, LostLease
from worker.runs.claim import Run, claim_run
from worker.runs.finish import finish_run
from worker.runs.states import State

pytestmark = pytest.mark.integration

GONE = dict.fromkeys(("1", "2", "3"), "rekeyed")
NAMED = dict.fromkeys(("P1", "P2", "P3"))


def claimed(ours: Plant, stream: int) -> Run:
    """A run that some worker has, and does nothing with yet."""
    run = claim_run(ours.services.database, ours.request(stream), worker="old", lease=60)
    assert run is not None
    return run


class TestPins:
    def test_a_connection_without_a_pin_is_pinned_to_what_it_runs_with(self, ours: Plant) -> None:
        assert ours.row()["manifest_version"] == ours.services.registry.edition("ours").version

    def test_a_pin_outlives_its_file(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        shutil.rmtree(ours.folder / "ours")
        ours.services.registry.look()
        assert ours.sync(stream)["state"] == "succeeded"
        # and so it does in a process that has never seen the file
        kept = KeptManifests.of(ours.services.database)
        registry = Registry.load([ours.folder], shelf=kept)
        assert registry.get("ours", ours.row()["manifest_version"]).stream_names == ["parts", "notes"]

    def test_another_release_in_the_file_changes_nothing(self, ours: Plant) -> None:
        stream, pin = ours.stream("parts"), ours.row()["manifest_version"]
        ours.write("2.0.0", key="number")
        tend_pins(ours.services.database, ours.services.registry)
        ours.sync(stream)
        assert ours.row()["manifest_version"] == pin
        assert ours.copy(stream) == {"1": None, "2": None, "3": None}

    def test_an_edit_under_the_same_release_is_followed(self, ours: Plant) -> None:
        version = ours.write("1.0.0", more="interval: 5m")
        tend_pins(ours.services.database, ours.services.registry)
        assert ours.row()["manifest_version"] == version

    def test_but_not_where_what_is_kept_would_not_fit(self, ours: Plant) -> None:
        pin = ours.row()["manifest_version"]
        ours.write("1.0.0", key="number")
        tend_pins(ours.services.database, ours.services.registry)
        assert ours.row()["manifest_version"] == pin

    def test_runs_of_a_broken_system_end_with_its_file_and_line(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        path = ours.folder / "ours" / "manifest.yaml"
        path.write_text(path.read_text().replace("title:", "titel:"))
        ours.services.database.run("DELETE FROM manifests")
        fresh = Registry.load([ours.folder], shelf=KeptManifests.of(ours.services.database))
        object.__setattr__(ours.services, "registry", fresh)
        ended = ours.sync(stream)
        assert (ended["state"], ended["error_code"]) == ("failed", "broken_system")
        assert f"{path}:4" in ended["error"]


class TestAChangedKey:
    def test_what_stood_under_old_keys_is_gone_with_evidence_and_all_is_read_under_new_ones(
        self, ours: Plant
    ) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        ours.write("2.0.0", key="number")
        step = ours.go()
        assert [(change.stream, change.anew) for change in step.difference.streams] == [("parts", True)]
        ended = ours.sync(stream)
        assert ours.copy(stream) == GONE | NAMED
        assert ended["records_deleted"] == len(GONE)

    def test_and_back_again(self, ours: Plant) -> None:
        stream, first = ours.stream("parts"), ours.row()["manifest_version"]
        ours.sync(stream)
        ours.write("2.0.0", key="number")
        ours.go()
        ours.sync(stream)
        ours.back()
        ours.sync(stream)
        assert ours.row()["manifest_version"] == first
        assert ours.copy(stream) == dict.fromkeys(GONE) | dict.fromkeys(NAMED, "rekeyed")

    def test_a_number_that_was_another_record_is_that_record_no_more(self, ours: Plant) -> None:
        """Also where its version was greater, and where its content is the same to the letter."""
        stream = ours.stream("parts")
        ours.write("1.1.0", more="version: rev")
        ours.go()
        ours.parts = [part(1, number="2", rev=90), part(2, number="1", rev=1)]
        ours.sync(stream)
        ours.write("2.0.0", key="number", more="version: rev")
        ours.go()
        ours.sync(stream)
        rows = ours.services.database.all(
            "SELECT key, raw ->> 'id' AS id, deleted_at IS NULL AS alive FROM records WHERE stream_id = %(s)s",
            {"s": stream},
        )
        assert {row["key"]: (row["id"], row["alive"]) for row in rows} == {"1": ("2", True), "2": ("1", True)}

    def test_a_run_that_dies_in_the_middle_is_followed_by_one_that_goes_on(
        self, ours: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        ours.write("2.0.0", key="number")
        ours.go()
        monkeypatch.setattr(refit, "BATCH", 1)
        whole = refit._refit
        done: list[int] = []

        def dies(*arguments: object) -> int:
            if done:
                raise LostLease("it")
            done.append(1)
            return whole(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(refit, "_refit", dies)
        carry_out(ours.services, ours.request(stream))
        assert list(ours.copy(stream).values()).count("rekeyed") == 1
        monkeypatch.setattr(refit, "_refit", whole)
        ours.services.database.run("UPDATE runs SET state = 'queued', lease_until = NULL")
        ours.carry_out_ready()
        assert ours.copy(stream) == GONE | NAMED

    def test_a_worker_that_still_reads_by_the_old_version_commits_nothing_more(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        old = claimed(ours, stream)
        ours.write("2.0.0", key="number")
        ours.go()
        with pytest.raises(LostLease):
            finish_run(ours.services.database, old.id, old.claim_no, State.SUCCEEDED)
        assert ours.outcome(old.id)["state"] == "cancelled"
        assert "version 2.0.0" in ours.outcome(old.id)["error"]
        assert ours.cursors(stream) == {}

    def test_erased_records_do_not_come_back_by_it(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.services.database.run("UPDATE streams SET erased = true")
        ours.write("2.0.0", key="number")
        with pytest.raises(InvalidInput) as refused:
            ours.go()
        assert refused.value.code == "erasures_lost"
        assert stream
        ours.go(despite_erasures=True)


class TestAChangedCursor:
    def test_it_is_dropped_and_records_keep_their_keys(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        before = ours.cursors(stream)
        ours.write("2.0.0", field="touched")
        ours.go()
        assert ours.cursors(stream) == {}
        ours.sync(stream)
        assert ours.copy(stream) == {"1": None, "2": None, "3": None}
        assert ours.cursors(stream).keys() == before.keys()
        history = ours.services.database.one(
            "SELECT history_done_at FROM streams WHERE id = %(s)s", {"s": stream}
        )
        assert history is not None
        assert history["history_done_at"] is not None

    def test_and_so_it_is_on_the_way_back(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        ours.write("2.0.0", field="touched")
        ours.go()
        ours.sync(stream)
        assert ours.back().difference.streams[0].anew
        assert ours.cursors(stream) == {}


class TestNothingThatMatters:
    def test_nothing_is_read_again_and_a_run_under_way_goes_on(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        before, run = ours.cursors(stream), claimed(ours, stream)
        ours.write("1.1.0", more="volatile: [rev]")
        step = ours.go()
        assert [change.anew for change in step.difference.streams] == [False]
        assert ours.cursors(stream) == before
        finish_run(ours.services.database, run.id, run.claim_no, State.SUCCEEDED)
        ours.asked()
        ours.sync(stream)
        assert all("since=" in path for path in ours.asked())

    def test_other_pages_begin_the_open_window_anew_and_lose_nothing(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        ours.services.database.run(
            "UPDATE cursors SET position = %(p)s WHERE track = 'live'", {"p": Jsonb({"page": {"offset": 2}})}
        )
        ours.write("1.1.0", more="params: {fields: all}")
        ours.go()
        row = ours.services.database.one(
            "SELECT position, watermark FROM cursors WHERE track = 'live' AND stream_id = %(s)s",
            {"s": stream},
        )
        assert row is not None
        assert (row["position"], row["watermark"] is not None) == (None, True)


class TestTheConnection:
    def test_a_stream_that_is_gone_is_switched_off_and_on_again_on_the_way_back(self, ours: Plant) -> None:
        parts, notes = ours.stream("parts"), ours.stream("notes")
        path = ours.folder / "ours" / "manifest.yaml"
        ours.write("2.0.0")
        path.write_text(path.read_text().split("  notes:")[0])
        ours.services.registry.look()
        ours.sync(notes)
        ours.go()
        on = "SELECT array_agg(id) FILTER (WHERE enabled) AS found FROM streams"
        assert ours.services.database.one(on) == {"found": [parts]}
        assert ours.copy(notes) == {"1": None}
        ours.back()
        row = ours.services.database.one(on)
        assert row is not None
        assert sorted(row["found"]) == sorted([parts, notes])

    def test_what_the_new_version_needs_is_asked_for_and_goes_in_with_it(self, ours: Plant) -> None:
        ours.write("2.0.0", settings="  region: {required: true, description: Which.}\n")
        with pytest.raises(InvalidInput, match="needs the setting region") as refused:
            ours.go()
        assert "--set region=" in (refused.value.hint or "")
        ours.go(settings={"region": "eu"})
        assert ours.row()["settings"]["region"] == "eu"
        ours.back()
        assert "region" not in ours.row()["settings"]

    def test_twice_is_once(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        ours.write("2.0.0", key="number")
        assert ours.go().changes
        ours.sync(stream)
        assert not ours.go().changes
        assert ours.copy(stream) == GONE | NAMED

    def test_two_who_do_it_at_once_do_it_once(self, ours: Plant) -> None:
        stream = ours.stream("parts")
        ours.sync(stream)
        ours.write("2.0.0", key="number")
        with ThreadPoolExecutor(4) as pool:
            steps = [each.result() for each in [pool.submit(ours.go) for _ in range(4)]]
        assert [step.changes for step in steps].count(True) == 1
        acts = ours.services.database.all("SELECT detail FROM audit WHERE action = 'connection.upgrade'")
        assert [act["detail"]["read_again"] for act in acts] == [["parts"]]

    def test_one_that_dies_before_the_commit_has_done_nothing(
        self, ours: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream, before = ours.stream("parts"), ours.row()
        ours.sync(stream)
        cursors, run = ours.cursors(stream), claimed(ours, stream)
        ours.write("2.0.0", key="number")
        monkeypatch.setattr("scheduler.connections.upgrading.step._note", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ours.go()
        assert ours.row() == before
        assert ours.cursors(stream) == cursors
        finish_run(ours.services.database, run.id, run.claim_no, State.SUCCEEDED)
