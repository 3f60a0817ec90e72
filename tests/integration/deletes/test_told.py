"""Deletes that the system tells of: a mark where the record was, and a list of its own with a cursor of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from servers.systems.scripted import Said

from .conftest import Desk  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def told(desk: Desk, key: str, at: datetime | None = None) -> None:
    """The system's list says that it went."""
    desk.store.gone.append({"id": len(desk.store.gone), "order": key, "at": iso(at or datetime.now(UTC))})


def cursor(desk: Desk, stream: int, slice_: str) -> dict[str, Any]:
    return desk.one(
        "SELECT * FROM cursors WHERE stream_id = %(s)s AND track = 'live' AND slice = %(n)s",
        s=stream,
        n=slice_,
    )


def test_the_list_of_deletes_is_read_at_the_end_of_a_run(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    desk.store.drop("r0003")
    told(desk, "r0003")
    run = desk.run(stream)
    assert (run["state"], run["records_deleted"]) == ("succeeded", 1)
    assert desk.tombstones(stream) == {"r0003": "tombstone"}
    assert desk.one("SELECT raw FROM records WHERE key = 'r0003'")["raw"]["id"] == "r0003"


def test_it_has_a_cursor_of_its_own_that_goes_on_where_it_stopped(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    before = cursor(desk, stream, "")["watermark"]
    at = datetime.now(UTC) - timedelta(minutes=5)
    told(desk, "r0003", at)
    desk.run(stream)
    assert cursor(desk, stream, "tombstones")["watermark"] == iso(at)
    assert cursor(desk, stream, "")["watermark"] == before
    desk.store.asked.clear()
    desk.run(stream)
    (asked,) = [path for path in desk.store.asked if path.startswith("/gone")]
    assert f"since={iso(at - timedelta(hours=1))}".replace(":", "%3A") in asked


def test_an_old_entry_that_is_read_again_buries_no_record_that_came_back(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    told(desk, "r0003", datetime.now(UTC) - timedelta(minutes=5))
    desk.store.put("r0003", name="restored")
    desk.run(stream)
    desk.run(stream)
    assert desk.tombstones(stream) == {}


def test_a_clock_that_is_ahead_at_the_system_buries_nothing_that_came_back(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    desk.do("UPDATE connections SET clock_skew = 7200")
    told(desk, "r0003", datetime.now(UTC) + timedelta(hours=1, minutes=55))  # went five minutes ago
    desk.run(stream)
    assert desk.tombstones(stream) == {}


def test_a_list_that_cannot_be_read_leaves_the_records_fresh_and_loses_nothing(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    told(desk, "r0003")
    whole, answer = desk.store.__call__, {"status": 403}

    def refused(asked: Any) -> Said:
        return Said(b"{}", answer["status"]) if asked.path.startswith("/gone") else whole(asked)

    desk.source.script = refused
    for status in (403, 500):
        answer["status"] = status
        desk.store.put("r0001", name=str(status))
        run = desk.run(stream)
        assert (run["state"], run["error_code"], run["records_updated"]) == ("partial", "deletes_unread", 1)
    desk.source.script = whole
    assert desk.run(stream)["state"] == "succeeded"
    assert desk.tombstones(stream) == {"r0003": "tombstone"}


def test_the_place_of_the_list_stands_before_it_can_be_read(desk: Desk) -> None:
    """Else what went before it can be read at last would be out of sight."""
    whole = desk.store.__call__
    desk.source.script = lambda asked: Said(b"{}", 403) if asked.path.startswith("/gone") else whole(asked)
    stream = desk.synced(10, "lots")
    assert cursor(desk, stream, "tombstones")["watermark"] is not None


def test_a_list_whose_place_the_system_has_forgotten_is_read_from_its_beginning(desk: Desk) -> None:
    stream = desk.synced(30, "lots")
    for number in range(25):
        desk.store.drop(f"r{number:04}")
        told(desk, f"r{number:04}")
    whole = desk.store.__call__
    answers = {"status": 500}

    def forgetful(asked: Any) -> Said:
        if not answers or not asked.path.startswith("/gone") or "offset=0" in asked.path:
            return whole(asked)
        said = Said(b"{}", answers["status"])
        if said.status == 400:
            answers.clear()
        return said

    desk.source.script = forgetful
    assert desk.run(stream)["error_code"] == "deletes_unread"
    answers["status"] = 400
    assert desk.run(stream)["state"] == "succeeded"
    assert answers == {}
    assert len(desk.tombstones(stream)) == 25


def test_it_is_asked_for_only_where_the_connection_says_so(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    desk.do("UPDATE connections SET settings = settings || '{\"keeps_a_list\": false}'")
    told(desk, "r0003")
    desk.store.asked.clear()
    desk.run(stream)
    assert not any(path.startswith("/gone") for path in desk.store.asked)


def test_a_mark_where_the_record_was_is_a_delete_that_keeps_the_last_content(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    desk.store.records["r0003"] = {
        "id": "r0003",
        "at": iso(datetime.now(UTC)),
        "@removed": {"reason": "deleted"},
    }
    run = desk.run(stream)
    assert (run["state"], run["records_deleted"], run["records_rejected"]) == ("succeeded", 1, 0)
    assert desk.tombstones(stream) == {"r0003": "delta"}
    assert "@removed" not in desk.one("SELECT raw FROM records WHERE key = 'r0003'")["raw"]
    desk.store.put("r0003")
    desk.run(stream)
    assert desk.tombstones(stream) == {}


def test_a_flag_in_the_record_is_its_reason(desk: Desk) -> None:
    stream = desk.synced(10, "lots")
    desk.store.put("r0003", closed=True)
    desk.run(stream)
    assert desk.tombstones(stream) == {"r0003": "flag"}
