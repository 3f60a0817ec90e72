"""A record that vanished without a word is found by a sweep, and deleted only on evidence."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from servers.systems.scripted import Said

from worker.engine.perform import carry_out

from .conftest import Desk, hiding  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def test_a_sweep_of_an_unchanged_stream_deletes_nothing_and_asks_for_ids_alone(desk: Desk) -> None:
    stream = desk.synced(40)
    before = len(desk.store.asked)
    run = desk.sweep(stream)
    assert (run["state"], run["records_read"], run["records_deleted"]) == ("succeeded", 40, 0)
    assert all("fields=id" in path for path in desk.store.asked[before:])
    assert desk.last_sweep(stream)["verdict"] == "complete"
    assert desk.all("SELECT * FROM swept_pages") == []


def test_what_two_complete_sweeps_miss_is_deleted_with_the_reason_and_the_run(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.drop("r0007")
    first = desk.sweep(stream)
    assert (first["state"], first["records_deleted"]) == ("succeeded", 0)
    assert desk.suspects(stream) == {"r0007": 1}
    assert "r0007" in desk.copy(stream)
    second = desk.sweep(stream)
    assert desk.tombstones(stream) == {"r0007": "sweep"}
    assert second["records_deleted"] == 1
    row = desk.one("SELECT * FROM records WHERE key = 'r0007'")
    assert (row["cause_id"], row["change_kind"]) == (second["id"], "deleted")
    assert row["raw"]["id"] == "r0007"
    assert desk.suspects(stream) == {}


def test_a_second_look_is_asked_for_soon_and_no_third(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.do("UPDATE streams SET next_sweep_at = now() + interval '20 hours'")
    desk.store.drop("r0007")
    desk.sweep(stream)
    assert desk.row(stream)["sweeps_in"] < timedelta(minutes=16)
    desk.do("UPDATE streams SET next_sweep_at = now() + interval '20 hours'")
    desk.store.drop("r0008")
    desk.sweep(stream)
    assert desk.suspects(stream) == {"r0008": 1}
    assert desk.row(stream)["sweeps_in"] > timedelta(hours=19)


def test_who_is_seen_again_is_suspected_no_longer(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.listing = lambda rows: rows[1:]
    desk.store.total = lambda count: count - 1
    desk.sweep(stream)
    assert desk.suspects(stream) == {"r0000": 1}
    desk.store.listing = list
    desk.store.total = int
    desk.sweep(stream)
    assert desk.suspects(stream) == {}
    assert desk.tombstones(stream) == {}


@pytest.mark.parametrize("names", [["r0003"], ["r0003", "r0004"]])
def test_two_sweeps_confirm_only_if_none_between_them_saw_it(desk: Desk, names: list[str]) -> None:
    stream = desk.synced(40, "parts")
    for hidden in (names, [], names):
        desk.store.listing = lambda rows, hidden=hidden: [row for row in rows if row["id"] not in hidden]
        desk.store.total = lambda count, hidden=hidden: count - len(hidden)
        desk.sweep(stream)
    assert desk.tombstones(stream) == {}
    assert desk.suspects(stream) == dict.fromkeys(names, 1)


def test_what_was_observed_after_the_sweep_began_is_no_candidate(desk: Desk) -> None:
    stream = desk.synced(40, "parts")

    def meanwhile(page: int) -> None:
        if page == 2:
            desk.do("UPDATE records SET observed_at = clock_timestamp() WHERE key = 'r0002'")

    desk.store.between = meanwhile
    hiding(desk, "r0002")
    desk.sweep(stream)
    assert desk.suspects(stream) == {}
    desk.store.drop("r0009")
    desk.sweep(stream)
    assert desk.suspects(stream) == {"r0009": 1}


def test_what_was_first_seen_after_the_sweep_began_is_no_candidate(desk: Desk) -> None:
    """Whatever the time at which it was asked for: clocks differ by a little."""
    stream = desk.synced(40, "parts")

    def meanwhile(page: int) -> None:
        if page == 2:
            desk.do("UPDATE records SET first_seen_at = clock_timestamp() WHERE key = 'r0002'")

    desk.store.between = meanwhile
    desk.store.drop("r0009")
    hiding(desk, "r0002")
    desk.sweep(stream)
    assert desk.suspects(stream) == {"r0009": 1}


def test_a_record_that_changed_since_it_was_suspected_is_suspected_anew(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.listing = lambda rows: [row for row in rows if row["id"] != "r0002"]
    desk.store.total = lambda count: count - 1
    desk.sweep(stream)
    desk.store.put("r0002", name="changed")
    desk.run(stream)
    desk.sweep(stream)
    assert desk.tombstones(stream) == {}
    assert desk.suspects(stream) == {"r0002": 1}


def test_a_sweep_that_fails_in_the_middle_is_no_evidence(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.broken_pages = {3}
    run = desk.sweep(stream)
    assert run["state"] == "queued"
    assert desk.suspects(stream) == {}
    assert desk.last_sweep(stream)["verdict"] is None


def test_a_sweep_that_is_cancelled_is_no_evidence(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.drop("r0007")

    def cancel(page: int) -> None:
        if page == 2:
            desk.do("UPDATE runs SET cancel_requested_at = now()")

    desk.store.between = cancel
    assert desk.sweep(stream)["state"] == "cancelled"
    assert desk.suspects(stream) == {}


def test_a_long_sweep_gives_way_and_reads_no_page_twice(desk: Desk) -> None:
    stream = desk.synced(120, "parts")
    object.__setattr__(desk.services.settings, "slice", 0.0)
    run = desk.sweep(stream)
    assert (run["state"], run["wait_reason"]) == ("queued", "slice")
    for _ in range(20):
        desk.do("UPDATE runs SET not_before = now()")
        carry_out(desk.services, run["id"])
    run = desk.outcome(run["id"])
    assert (run["state"], run["records_read"]) == ("succeeded", 120)


def test_a_sweep_whose_place_the_system_has_forgotten_begins_anew(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.drop("r0007")
    desk.store.broken_pages = {3}
    run = desk.sweep(stream)
    desk.store.broken_pages = set()
    whole, refused = desk.store._list, list[str]()

    def forgetful(query: Mapping[str, str]) -> Said:
        if not refused:
            refused.append(query["offset"])
            return Said(b"{}", 400)
        return whole(query)

    desk.store._list = forgetful  # type: ignore[method-assign]
    desk.do("UPDATE runs SET not_before = now()")
    carry_out(desk.services, run["id"])
    assert refused != ["0"]
    assert desk.outcome(run["id"])["state"] == "succeeded"
    assert desk.suspects(stream) == {"r0007": 1}


def test_a_sweep_goes_on_in_its_generation_where_its_last_page_ended(desk: Desk) -> None:
    stream = desk.synced(40, "parts")
    desk.store.drop("r0007")
    desk.store.broken_pages = {3}
    run = desk.sweep(stream)
    desk.store.broken_pages = set()
    desk.store.asked.clear()
    desk.do("UPDATE runs SET not_before = now()")
    carry_out(desk.services, run["id"])
    assert [path for path in desk.store.asked if "offset=0&" in path] == []
    assert desk.outcome(run["id"])["state"] == "succeeded"
    assert desk.suspects(stream) == {"r0007": 1}
    assert desk.one("SELECT count(*) AS n FROM sweeps")["n"] == 1
