"""A suspect is asked for by its key: who isn't there is confirmed at once, who is shows that the list leaves some out."""

import json
from pathlib import Path

import pytest
from servers.systems.scripted import Said

from scheduler.keeping.erasure.erase import erase_record
from worker.engine.deletes import asking, judge

from .conftest import Desk, hiding  # type: ignore[import-not-found]
from .test_evidence import keys  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def singles(desk: Desk) -> list[str]:
    return [path.split("?")[0] for path in desk.store.asked if path.count("/") > 1]


def test_one_that_is_not_there_when_asked_for_is_deleted_by_the_first_sweep(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.store.drop("r0007")
    run = desk.sweep(stream)
    assert (run["state"], run["records_deleted"]) == ("succeeded", 1)
    assert desk.tombstones(stream) == {"r0007": "not_found"}
    assert len(singles(desk)) == 2, "one that was seen, and the suspect"


def test_one_that_is_there_when_asked_for_is_read_and_its_sweep_is_no_evidence(desk: Desk) -> None:
    """As by a list that leaves archived records out, every time: two sweeps alone would have believed it."""
    stream = desk.synced(40)
    desk.store.records["r0007"]["name"] = "changed"
    hiding(desk, *keys(3, 7))
    for _ in range(4):
        run = desk.sweep(stream)
        assert (run["state"], run["error_code"]) == ("partial", "sweep_refuted")
    assert desk.tombstones(stream) == {}
    assert desk.one("SELECT raw FROM records WHERE key = 'r0007'")["raw"]["name"] == "changed"


def test_some_that_are_there_stop_only_those_that_could_not_be_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "ALLOWANCE", 4)
    stream = desk.synced(80)
    desk.store.drop(*keys(8))
    hiding(desk, *keys(8, 8))
    desk.sweep(stream)
    first = desk.tombstones(stream)
    assert set(first.values()) <= {"not_found"}
    assert len(first) < 5
    assert set(desk.suspects(stream).values()) <= {1}
    for _ in range(6):
        desk.sweep(stream)
    assert desk.tombstones(stream).keys() <= set(keys(8))
    assert set(desk.tombstones(stream).values()) == {"not_found"}


def test_a_sweep_that_was_refuted_counts_for_nobody_later(desk: Desk) -> None:
    """One of those it missed is there; of the other, whose key can't be asked for, it says nothing either."""
    desk.store.put("..")
    stream = desk.synced(40)
    desk.store.drop("..")
    hiding(desk, "r0007")
    assert desk.sweep(stream)["error_code"] == "sweep_refuted"
    hiding(desk)
    assert desk.sweep(stream)["state"] == "succeeded"
    assert (desk.suspects(stream), desk.tombstones(stream)) == ({"..": 1}, {})
    desk.sweep(stream)
    assert desk.tombstones(stream) == {"..": "sweep"}


def test_a_system_that_cannot_find_what_it_has_just_listed_is_not_believed(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.store.drop("r0007")
    desk.store.singles = lambda _: Said(b"{}", 404)
    run = desk.sweep(stream)
    assert run["records_deleted"] == 0
    assert desk.suspects(stream) == {"r0007": 1}
    assert len(singles(desk)) == 3, "three that were seen were asked for, and none was found"
    desk.sweep(stream)
    assert desk.tombstones(stream) == {"r0007": "sweep"}


def test_what_is_read_by_asking_is_kept_as_it_would_be_of_a_page(desk: Desk) -> None:
    stream = desk.synced(40, exclude=[["name"]])
    desk.store.records["r0007"] |= {"name": "planted", "state": "done"}
    hiding(desk, "r0007")
    assert desk.sweep(stream)["error_code"] == "sweep_refuted"
    raw = desk.one("SELECT raw FROM records WHERE key = 'r0007'")["raw"]
    assert (raw["state"], "name" in raw) == ("done", False)


def test_a_worker_that_shall_stop_asks_no_further(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.store.drop("r0007")
    desk.store.singles = lambda _: desk.services.leases.drain()
    run = desk.sweep(stream)
    assert (run["state"], desk.last_sweep(stream)["verdict"]) == ("queued", None)
    assert len(singles(desk)) == 1, "one that was seen"


def test_a_question_that_fails_leaves_it_to_the_second_sweep(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.store.drop("r0007")
    desk.store.singles = lambda _: Said(b"{}", 500)
    assert desk.sweep(stream)["state"] == "succeeded"
    assert desk.suspects(stream) == {"r0007": 1}


def test_one_that_says_itself_that_it_is_gone_is_deleted_by_its_flag(desk: Desk) -> None:
    stream = desk.synced(40, "lots")
    hiding(desk, "r0007")
    flagged = {"data": {"id": "r0007", "at": "2030-01-01T00:00:00Z", "closed": True}}
    desk.store.singles = lambda key: Said(json.dumps(flagged).encode()) if key == "r0007" else None
    run = desk.sweep(stream)
    assert run["state"] == "succeeded"
    assert desk.tombstones(stream) == {"r0007": "flag"}


def test_more_than_the_fuse_allows_are_held_though_they_were_asked_for(desk: Desk) -> None:
    stream = desk.synced(60)
    desk.store.drop(*keys(25))
    run = desk.sweep(stream)
    assert run["error_code"] == "deletes_held"
    assert desk.tombstones(stream) == {}


def test_the_key_of_who_was_erased_is_neither_kept_nor_asked_for(desk: Desk, tmp_path: Path) -> None:
    """The system still lists it, and the copy has forgotten by now that it was erased."""
    (tmp_path / "privacy-key").write_text("a privacy key of a test\n")
    object.__setattr__(desk.services.settings, "privacy_key", f"file://{tmp_path}/privacy-key")
    stream = desk.synced(40)
    erase_record(desk.services.database, desk.services.settings, desk.row(stream), "r0007")
    desk.do("DELETE FROM records WHERE key = 'r0007'")
    assert desk.sweep(stream)["state"] == "succeeded"
    assert desk.last_sweep(stream)["unread"] == 0
    assert desk.all("SELECT scope FROM runs") == []


def test_a_record_that_the_copy_lacks_is_asked_for_by_its_key(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.store.records["late"] = {"id": "late", "at": "2020-01-01T00:00:00Z"}  # no poll ever sees it
    desk.run(stream)
    assert "late" not in desk.copy(stream)
    desk.sweep(stream)
    assert desk.last_sweep(stream)["unread"] == 1
    asked = desk.one("SELECT scope, cause, track, lane FROM runs")
    assert asked == {"scope": {"ids": ["late"]}, "cause": "sweep", "track": "records", "lane": 4}


def test_where_only_some_days_were_asked_for_what_the_copy_lacks_is_not_missed(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.do("UPDATE streams SET history_days = 30")
    desk.store.records["old"] = {"id": "old", "at": "2020-01-01T00:00:00Z"}
    desk.sweep(stream)
    assert desk.last_sweep(stream)["unread"] == 0
    assert desk.all("SELECT * FROM runs") == []


def test_a_resurrected_record_comes_back_by_a_sweep(desk: Desk) -> None:
    stream = desk.synced(40)
    kept = dict(desk.store.records["r0007"])
    desk.store.drop("r0007")
    desk.sweep(stream)
    desk.store.records["r0007"] = kept | {
        "at": "2020-01-01T00:00:00Z"
    }  # restored as it was, with its old time
    desk.run(stream)
    assert "r0007" in desk.tombstones(stream)
    desk.sweep(stream)
    assert desk.one("SELECT scope FROM runs")["scope"] == {"ids": ["r0007"]}


def test_a_resurrected_record_comes_back_by_a_poll(desk: Desk) -> None:
    stream = desk.synced(40)
    desk.store.drop("r0007")
    desk.sweep(stream)
    desk.store.put("r0007")
    desk.run(stream)
    assert "r0007" in desk.copy(stream)
    row = desk.one("SELECT change_kind, delete_reason FROM records WHERE key = 'r0007'")
    assert row == {"change_kind": "created", "delete_reason": None}


def test_a_record_that_is_listed_with_its_flag_is_not_asked_for_again(desk: Desk) -> None:
    stream = desk.synced(40, "lots")
    desk.store.put("r0007", closed=True)
    desk.run(stream)
    assert desk.tombstones(stream) == {"r0007": "flag"}
    desk.sweep(stream)
    assert desk.last_sweep(stream)["unread"] == 0


def test_a_slow_system_is_not_asked_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its deadline a run is given back, and what was asked would be asked again."""
    monkeypatch.setattr(asking, "LONGEST", -1.0)
    stream = desk.synced(40)
    desk.store.drop("r0007")
    assert desk.sweep(stream)["state"] == "succeeded"
    assert len(singles(desk)) == 1, "one that was seen"
    assert desk.suspects(stream) == {"r0007": 1}
    desk.sweep(stream)
    assert desk.tombstones(stream) == {"r0007": "sweep"}
