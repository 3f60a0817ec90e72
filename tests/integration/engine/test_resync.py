"""What is read again on request: all, a range of dates, a filter, or some records by their keys. Nobody else's state moves."""

from datetime import timedelta
from typing import Any

import pytest
from servers.systems.mill import Works, iso, past
from servers.systems.scripted import Asked, Said

from scheduler.beat.upkeep.sweeps import SWEEPS
from worker.engine.perform import carry_out
from worker.engine.tracks import records, singles
from worker.engine.tracks.window import take_pages
from worker.runs.request import request_run
from worker.runs.states import Lane

pytestmark = pytest.mark.integration


@pytest.fixture
def stream(works: Works) -> int:
    """A hundred records of a hundred days, all in the copy."""
    past(works, 100, days=100)
    found = works.stream()
    works.live(found)
    works.finish(found)
    return found


def mangle(works: Works, stream: int) -> None:
    """The copy holds something else, in a version that no source could beat."""
    works.services.database.run(
        'UPDATE records SET raw = \'{"id": "mangled"}\', version = 99, content_hash = gen_random_uuid()'
        " WHERE stream_id = %(s)s",
        {"s": stream},
    )


def mended(works: Works, stream: int) -> set[str]:
    return {key for key, raw in works.copy(stream).items() if raw == works.mill.records[key]}


def others(works: Works) -> list[dict[str, Any]]:
    """Every cursor, as it stands."""
    return works.services.database.all("SELECT * FROM cursors ORDER BY stream_id, track, slice")


def test_all_of_a_stream_is_read_again_whatever_the_copy_believes(works: Works, stream: int) -> None:
    mangle(works, stream)
    run = works.resync(stream, all=True)
    assert (run["state"], run["records_updated"]) == ("succeeded", 100)
    assert works.copy(stream) == works.mill.records


@pytest.mark.parametrize("name", ["orders", "lots"])
def test_a_range_of_dates_is_read_again_and_nothing_else(works: Works, name: str) -> None:
    past(works, 100, days=100)
    stream = works.stream(name)
    works.live(stream)
    works.finish(stream)
    mangle(works, stream)
    since, until = works.now() - timedelta(days=40), works.now() - timedelta(days=20)
    run = works.resync(stream, since=iso(since), until=iso(until))
    wanted = {key for key, each in works.mill.records.items() if iso(since) <= each["at"] <= iso(until)}
    assert len(wanted) == 20
    assert mended(works, stream) >= wanted
    assert run["records_read"] <= 30, "a page more at most, where the system can't be told an end"


def test_a_filter_goes_to_the_system(works: Works, stream: int) -> None:
    for number in range(7):
        works.mill.put(f"r{number:04}", works.now() - timedelta(days=50), site="north")
    mangle(works, stream)
    works.resync(stream, filters={"site": "north"})
    assert mended(works, stream) == {f"r{number:04}" for number in range(7)}
    assert works.mill.asked[-1]["site"] == "north"
    run = works.resync(stream, filters={"sight": "north"})
    assert (run["state"], run["error_code"]) == ("failed", "unknown_filter")


def test_records_are_asked_for_by_their_keys_one_request_each(works: Works, stream: int) -> None:
    mangle(works, stream)
    before = len(works.mill.paths)
    run = works.resync(stream, ids=["r0007", "r0003", "r0007"])
    assert works.mill.paths[before:] == ["/orders/r0003", "/orders/r0007"]
    assert mended(works, stream) == {"r0003", "r0007"}
    assert (run["state"], run["records_read"], run["records_updated"]) == ("succeeded", 2, 2)


def test_a_record_that_is_not_there_is_deleted_with_its_reason(works: Works, stream: int) -> None:
    del works.mill.records["r0003"]
    run = works.resync(stream, ids=["r0003", "r0007"])
    assert (run["state"], run["records_deleted"]) == ("succeeded", 1)
    row = works.services.database.one(
        "SELECT delete_reason, deleted_at, cause_id FROM records WHERE key = 'r0003'"
    )
    assert row is not None
    assert (row["delete_reason"], row["cause_id"]) == ("not_found", run["id"])
    works.mill.put("r0003", works.now())
    works.resync(stream, ids=["r0003"])
    assert works.copy(stream) == works.mill.records, "one that is back comes back"


def test_many_of_which_none_is_there_are_not_believed_to_be_gone(works: Works, stream: int) -> None:
    records, works.mill.records = works.mill.records, {}
    run = works.resync(stream, ids=sorted(records)[:20])
    assert (run["state"], run["error_code"], run["records_deleted"]) == ("partial", "all_absent", 0)
    works.mill.records = {key: each for key, each in records.items() if key > "r0010"}
    run = works.resync(stream, ids=sorted(records)[:20])
    assert (run["state"], run["records_deleted"]) == ("succeeded", 11)
    assert works.copy(stream) == works.mill.records


def test_a_key_that_neither_side_knows_is_named(works: Works, stream: int) -> None:
    run = works.resync(stream, ids=["r0003", "r3000", "r4000"])
    assert (run["state"], run["error_code"]) == ("partial", "records_not_read")
    assert run["error"] == "2 of the 3 records are known neither to the system nor to the copy: r3000, r4000."


def test_what_cant_be_read_is_named_and_left_as_it_is(works: Works, stream: int) -> None:
    works.mill.singles["r0003"] = (400, "application/json", b'{"error": "no"}')
    works.mill.singles["r0005"] = (404, "text/html", b"<h1>Not found</h1>")
    copy = works.copy(stream)
    run = works.resync(stream, ids=["r0003", "r0004", "r0005", ".."])
    assert (run["state"], run["error_code"], run["records_rejected"]) == ("partial", "records_not_read", 1)
    assert run["error"] == "2 of the 4 records couldn't be read: .., r0003."
    assert works.copy(stream) == copy


def test_without_a_single_read_everything_is_read_and_only_those_are_kept(works: Works) -> None:
    past(works, 100, days=100)
    stream = works.stream("lots")
    works.live(stream)
    works.finish(stream)
    mangle(works, stream)
    run = works.resync(stream, ids=["r0003", "r0007", "gone"])
    assert mended(works, stream) == {"r0003", "r0007"}
    assert (run["state"], run["error_code"]) == ("partial", "records_not_read")
    assert "gone" in run["error"]
    assert run["records_deleted"] == 0, "one list alone is no evidence"


def test_a_re_sync_goes_on_where_it_stopped(
    works: Works, stream: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(singles, "AT_ONCE", 5)
    ids = sorted(works.mill.records)[:20]
    before = len(works.mill.paths)
    works.mill.fails = {before + 13}
    run = works.resync(stream, ids=ids)
    assert run["state"] == "succeeded"
    asked = [path.rpartition("/")[2] for path in works.mill.paths[before:]]
    assert asked == [*ids[:13], *ids[12:]], "what was read before the error isn't asked for again"


@pytest.mark.parametrize("scope", [{"all": True}, {"ids": ["r0003", "r0004"]}])
def test_a_long_re_sync_in_the_bulk_lane_gives_way(
    works: Works, stream: int, scope: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(singles, "AT_ONCE", 1)
    object.__setattr__(works.services.settings, "slice", 0.0)
    run = works.resync(stream, Lane.BACKFILL, **scope)
    assert run["state"] == "succeeded"
    assert run["claim_no"] > 1
    assert run["queue"] == "sync.mill.bulk"
    assert run["records_read"] == (100 if "all" in scope else 2), "no page is read twice"


def test_refreshing_one_touches_nobody_elses_state(works: Works, stream: int) -> None:
    other = works.stream("lots")
    works.live(other)
    works.turn(other, slice_=0.0)
    before = others(works)
    row = works.row(stream)
    for scope in (
        {"all": True},
        {"ids": ["r0003"]},
        {"filters": {"site": "north"}},
        {"since": iso(works.now())},
    ):
        works.resync(stream, **scope)
    assert others(works) == before, "and its own cursor goes with its end"
    after = works.row(stream)
    for name in (
        "next_run_at",
        "last_success_at",
        "history_done_at",
        "last_error_code",
        "failures",
        "last_run_id",
    ):
        assert after[name] == row[name]


def test_a_re_sync_that_waits_keeps_a_place_of_its_own_beside_others(works: Works, stream: int) -> None:
    works.mill.fails = {len(works.mill.asked) + 5}
    object.__setattr__(works.services.settings, "max_attempts", 1)
    failed = works.resync(stream, all=True)
    assert failed["state"] == "failed"
    place = [row for row in others(works) if row["track"] == "records"]
    assert len(place) == 1
    works.resync(stream, ids=["r0003"])
    assert [row for row in others(works) if row["track"] == "records"] == place
    works.resync(stream, all=True)
    assert [row for row in others(works) if row["track"] == "records"] == []


def test_a_new_re_sync_does_not_go_on_where_one_that_failed_had_stopped(works: Works, stream: int) -> None:
    settings = works.services.settings
    attempts = settings.max_attempts
    works.mill.fails = {len(works.mill.asked) + 5}
    object.__setattr__(settings, "max_attempts", 1)
    assert works.resync(stream, all=True)["state"] == "failed"
    object.__setattr__(settings, "max_attempts", attempts)
    mangle(works, stream)
    works.resync(stream, all=True)
    assert works.copy(stream) == works.mill.records, (
        "what that one read was read before this one was asked for"
    )


def test_a_worker_that_is_overtaken_at_its_end_leaves_the_place_to_the_next(
    works: Works, stream: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*args: Any) -> None:
        take_pages(*args)
        works.services.database.run("UPDATE runs SET claim_no = claim_no + 1")

    monkeypatch.setattr(records, "take_pages", overtaken)
    with works.services.database.transaction() as tx:
        run = request_run(
            tx, stream_id=stream, system="mill", lane=Lane.ON_DEMAND, cause="resync", request_id="r",
            track="records", scope={"all": True},
        ).id  # fmt: skip
    carry_out(works.services, run)
    assert [row["track"] for row in others(works) if row["track"] == "records"] == ["records"]


@pytest.mark.parametrize("scope", [{"all": True}, {"ids": ["r0003"]}])
def test_what_a_stream_leaves_out_is_left_out_of_what_is_read_again(
    works: Works, stream: int, scope: dict[str, Any]
) -> None:
    works.services.database.run('UPDATE streams SET options = \'{"exclude": [["name"]]}\'')
    works.mill.put("r0003", works.now(), name="planted", state="done")
    works.resync(stream, **scope)
    raw = works.copy(stream)["r0003"]
    assert (raw["state"], "name" in raw) == ("done", False)


def test_a_long_list_that_the_system_refuses_comes_to_its_end(works: Works, stream: int) -> None:
    keys = sorted(works.mill.records)[:5]
    works.mill.singles = dict.fromkeys(keys, (400, "application/json", b'{"error": "no"}'))
    works.mill.singles[keys[1]] = (413, "application/json", b'{"error": "too large"}')
    object.__setattr__(works.services.settings, "slice", 0.0)
    before = len(works.mill.paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(singles, "MOST_SECONDS", -1.0)  # a turn for each
        run = works.resync(stream, Lane.BACKFILL, ids=keys)
    assert (run["state"], run["error_code"]) == ("partial", "records_not_read")
    asked = [path.rpartition("/")[2] for path in works.mill.paths[before:]]
    assert asked == keys, "none twice"


def test_one_that_came_back_while_others_were_asked_for_is_not_deleted(works: Works, stream: int) -> None:
    """Nobody believes that many are gone until one is found: by then, what was said of the first may be old."""
    keys = sorted(works.mill.records)[:20]
    for key in keys[:-1]:
        del works.mill.records[key]

    def seen_again(asked: Asked) -> Said:
        if asked.path.endswith(keys[-1]):
            works.services.database.run(
                "UPDATE records SET observed_at = clock_timestamp() WHERE key = %(k)s", {"k": keys[0]}
            )
        return works.mill(asked)

    works.serve(seen_again)
    assert works.resync(stream, ids=keys)["records_deleted"] == 18
    assert keys[0] in works.copy(stream)


def test_the_places_of_what_is_over_are_forgotten_after_a_week(works: Works, stream: int) -> None:
    works.services.database.run(
        "INSERT INTO cursors (stream_id, track, slice, position, updated_at)"
        " SELECT %(s)s, 'records', name, '{}', now() - age FROM (VALUES"
        " ('over', interval '8 days'), ('lately', interval '6 days'), ('waits', interval '8 days')) AS v (name, age)",
        {"s": stream},
    )
    works.services.database.run(
        "INSERT INTO runs (stream_id, connection_id, queue, account, track, scope, scope_hash, lane, cause, request_id)"
        " VALUES (%(s)s, %(c)s, 'sync.mill.bulk', 'a', 'records', '{\"all\": true}', 'waits', 4, 'resync', 'r')",
        {"s": stream, "c": works.connection},
    )
    before = [row for row in others(works) if row["track"] != "records"]
    (forget,) = [sweep.run for sweep in SWEEPS if sweep.name == "places"]
    forget(works.services)
    assert [row["slice"] for row in others(works) if row["track"] == "records"] == ["lately", "waits"]
    assert [row for row in others(works) if row["track"] != "records"] == before
