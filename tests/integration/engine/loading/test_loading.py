"""A page is a transaction: records, cursor, counts and fence, all or nothing."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from servers.rows.ledger import LEASE, NEXT, Ledger, many, record

from worker.connectors.contract import Page, Record, Rejected
from worker.db.queries import sql
from worker.engine.loading.load import Loader
from worker.errors import Cancelled, LostLease
from worker.runs.cancel import cancel_run
from worker.runs.rescue import rescue_lapsed

pytestmark = pytest.mark.integration

SECOND = timedelta(seconds=1)


def test_new_records_are_created_with_the_bytes_as_sent(ledger: Ledger) -> None:
    text = '{"b":1.10, "a" : "\\u00e4\\ud83d", "n": 123456789012345678901234567890.000, "a":2}'
    loaded = ledger.load(ledger.claimed(), record("7", text, version=3))
    row = ledger.rows()["7"]
    assert loaded.created == 1
    assert (row["text"], row["version"], row["change_kind"]) == (text, 3, "created")


def test_a_page_read_again_changes_nothing(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":1}', version=3))
    before = ledger.rows()["7"]
    physical = "SELECT ctid, xmin::text, xmax::text FROM records"
    place = ledger.database.one(physical)
    loaded = ledger.load(run, record("7", '{"a":1}', version=3))
    assert (loaded.created, loaded.updated, loaded.refused) == (0, 0, 0)
    assert ledger.rows()["7"] == before
    assert ledger.database.one(physical) == place  # not even locked


def test_a_changed_record_is_updated_and_takes_a_new_place_in_the_feed(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":1}', version=3))
    before = ledger.rows()["7"]
    assert ledger.load(run, record("7", '{"a":2}', version=4)).updated == 1
    after = ledger.rows()["7"]
    assert after["first_seen_at"] == before["first_seen_at"]
    assert int(after["xid"]) > int(before["xid"])


def test_an_older_version_never_overwrites_a_newer_one(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":2}', version=4))
    loaded = ledger.load(run, record("7", '{"a":1}', version=3), at=run.now() + SECOND)
    assert (loaded.updated, loaded.refused) == (0, 1)
    assert ledger.rows()["7"]["version"] == 4


@pytest.mark.parametrize("version", [None, 4])
def test_where_versions_cant_tell_what_was_asked_for_later_wins(ledger: Ledger, version: int | None) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":2}', version=version), at=run.claimed_at)
    early = ledger.load(run, record("7", '{"a":1}', version=version), at=run.claimed_at - SECOND)
    late = ledger.load(run, record("7", '{"a":3}', version=version), at=run.claimed_at + SECOND)
    assert (early.refused, late.updated) == (1, 1)
    assert ledger.rows()["7"]["text"] == '{"a":3}'


def test_a_greater_version_wins_even_when_it_was_asked_for_earlier(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":1}', version=3), at=run.claimed_at)
    assert ledger.load(run, record("7", '{"a":2}', version=4), at=run.claimed_at - SECOND).updated == 1


def test_a_deleted_record_leaves_a_tombstone_and_may_come_back(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":1}', version=1))
    assert ledger.load(run, record("7", '{"a":1,"gone":1}', version=2, deleted=True)).deleted == 1
    gone = ledger.rows()["7"]
    assert gone["deleted_at"] is not None
    assert ledger.load(run, record("7", '{"a":1,"gone":1}', version=2, deleted=True)).deleted == 0
    assert ledger.load(run, record("7", '{"a":9}', version=3)).created == 1
    back = ledger.rows()["7"]
    assert (back["deleted_at"], back["change_kind"]) == (None, "created")
    assert back["first_seen_at"] == gone["first_seen_at"]


def test_an_old_tombstone_does_not_delete_what_is_newer(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":1}', version=5))
    assert ledger.load(run, record("7", '{"a":0}', version=4, deleted=True)).refused == 1
    assert ledger.rows()["7"]["deleted_at"] is None


def test_the_cursor_and_the_counts_come_with_the_records(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"), record("2"), total=10)
    cursor = ledger.database.one("SELECT position FROM cursors")
    row = ledger.open_run(run.id)
    assert cursor == {"position": {"page": {"cursor": "2"}}}
    assert row is not None
    counts = (row["pages"], row["records_read"], row["records_created"], row["records_total"])
    assert counts == (1, 2, 2, 10)


def test_a_page_without_records_moves_the_cursor_too(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run)
    assert ledger.database.one("SELECT count(*) AS n FROM cursors") == {"n": 1}


@pytest.mark.parametrize("keys", [["1", "2"], []])
def test_a_stale_worker_writes_nothing(ledger: Ledger, keys: list[str]) -> None:
    stale = ledger.claimed()
    ledger.lapse(stale.id)
    rescue_lapsed(ledger.database, max_attempts=5)
    ledger.claim(stale.id)
    with pytest.raises(LostLease):
        ledger.load(stale, *(record(key) for key in keys))
    assert ledger.rows() == {}
    assert ledger.database.one("SELECT count(*) AS n FROM cursors") == {"n": 0}


@pytest.mark.parametrize("keys", [["2"], []])
@pytest.mark.parametrize("claimed_again", [True, False])
def test_a_stale_worker_that_has_loaded_before_writes_nothing_more(
    ledger: Ledger, keys: list[str], claimed_again: bool
) -> None:
    stale = ledger.claimed()
    loader = Loader(ledger.database, stale, lease=LEASE)
    loader.load(Page([record("1")]), NEXT, stale.now())
    ledger.lapse(stale.id)
    rescue_lapsed(ledger.database, max_attempts=5)
    if claimed_again:
        assert ledger.claim(stale.id) is not None
    before = ledger.open_run(stale.id)
    with pytest.raises(LostLease):
        loader.load(Page([record(key) for key in keys]), NEXT, stale.now())
    assert ledger.open_run(stale.id) == before
    assert set(ledger.rows()) == {"1"}


def test_a_cancelled_run_keeps_its_page_and_stops(ledger: Ledger) -> None:
    run = ledger.claimed()
    cancel_run(ledger.database, run.id)
    with pytest.raises(Cancelled):
        ledger.load(run, record("1"))
    assert set(ledger.rows()) == {"1"}


def test_a_record_that_postgres_refuses_is_set_aside_and_its_neighbours_stay(ledger: Ledger) -> None:
    run = ledger.claimed()
    deep = "[" * 20_000 + "]" * 20_000
    loaded = ledger.load(run, record("1", '{"a":1}'), record("bad", '{"a":'), record("deep", deep))
    assert (loaded.created, loaded.rejected) == (1, 2)
    assert set(ledger.rows()) == {"1"}
    rows = ledger.database.all("SELECT key, code, page, raw FROM quarantine ORDER BY key")
    assert [(row["key"], row["code"], row["page"]) for row in rows] == [
        ("bad", "refused_by_postgres", 1),
        ("deep", "refused_by_postgres", 1),
    ]
    assert bytes(rows[0]["raw"]) == b'{"a":'


def test_the_same_bad_record_is_counted_and_not_piled_up(ledger: Ledger) -> None:
    run = ledger.claimed()
    bad = Rejected(b"\xff\x00", "bad_key", "No key\0 here \ud800.", "\0k")
    for pages in range(3):
        ledger.load(replace(run, pages=pages), record("1"), rejected=[bad, bad])
    rows = ledger.database.all("SELECT seen, page, raw FROM quarantine")
    assert [(row["seen"], row["page"], bytes(row["raw"])) for row in rows] == [(3, 3, b"\xff\x00")]


@pytest.mark.parametrize("records", [[record("1")], many()], ids=["few", "many"])
def test_a_committed_page_ends_a_row_of_failures(ledger: Ledger, records: list[Record]) -> None:
    run = ledger.claimed()
    ledger.database.run("UPDATE runs SET attempt = 2")
    ledger.load(run, *records)
    row = ledger.open_run(run.id)
    assert row is not None
    assert row["attempt"] == 0


def test_only_whoever_holds_the_run_gives_up_its_place(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"))
    place = "SELECT position IS NOT NULL AS kept FROM cursors WHERE track = 'live'"
    for claim, kept in ((run.claim_no + 1, True), (run.claim_no, False)):
        ledger.database.run(sql.drop_position, {"run": run.id, "claim": claim, "slice": ""})
        assert ledger.database.all(place) == [{"kept": kept}]


def test_the_backend_that_loads_stands_on_the_run(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, *many())
    row = ledger.open_run(run.id)
    assert row is not None
    assert row["backend_pid"] is not None


def test_a_small_page_is_one_statement_and_holds_nothing_that_a_rescuer_would_have_to_end(
    ledger: Ledger,
) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"))
    row = ledger.open_run(run.id)
    assert row is not None
    assert (row["records_created"], row["backend_pid"]) == (1, None)


def test_the_rescuer_ends_the_connection_of_a_worker_that_holds_its_transaction(
    ledger: Ledger, database_url: str
) -> None:
    run = ledger.claimed()
    with psycopg.connect(database_url, application_name="headrace worker elsewhere") as stopped:
        stopped.execute("UPDATE runs SET backend_pid = pg_backend_pid() WHERE id = %s", (run.id,))
        stopped.commit()
        ledger.lapse(run.id)
        stopped.execute("SELECT FROM runs WHERE id = %s FOR UPDATE", (run.id,))
        assert rescue_lapsed(ledger.database, max_attempts=5).saved == 1
        with pytest.raises(psycopg.OperationalError):
            stopped.execute("SELECT 1")


def test_a_strangers_connection_is_never_ended(ledger: Ledger, database_url: str) -> None:
    run = ledger.claimed()
    with psycopg.connect(database_url, application_name="psql") as stranger:
        stranger.execute("UPDATE runs SET backend_pid = pg_backend_pid() WHERE id = %s", (run.id,))
        stranger.commit()
        ledger.lapse(run.id)
        assert rescue_lapsed(ledger.database, max_attempts=5).saved == 1
        assert stranger.execute("SELECT 1").fetchone() == (1,)


def test_an_older_record_is_counted_beside_one_that_is_set_aside_too(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("7", '{"a":2}', version=2))
    aside = Rejected(b"x", "bad_key", "No key.")
    loaded = ledger.load(run, record("7", '{"a":1}', version=1), rejected=[aside])
    assert (loaded.updated, loaded.refused, loaded.rejected) == (0, 1, 1)


def test_a_page_that_names_a_record_twice_keeps_its_later_word(ledger: Ledger) -> None:
    loaded = ledger.load(ledger.claimed(), record("1", '{"a":1}'), record("2"), record("1", '{"a":2}'))
    assert loaded.created == 2
    assert ledger.rows()["1"]["text"] == '{"a":2}'


def test_a_page_that_names_a_record_twice_keeps_its_greater_version(ledger: Ledger) -> None:
    ledger.load(ledger.claimed(), record("1", '{"a":2}', version=2), record("1", '{"a":1}', version=1))
    assert ledger.rows()["1"]["version"] == 2


def test_a_record_set_aside_says_on_which_page_of_the_run_it_was(ledger: Ledger) -> None:
    run = ledger.claimed()
    loader = Loader(ledger.database, run, lease=LEASE)
    for raw in (b"first", b"second"):
        loader.load(Page([], rejected=[Rejected(raw, "x", "No.")]), NEXT, run.now())
    rows = ledger.database.all("SELECT page FROM quarantine ORDER BY page")
    assert [row["page"] for row in rows] == [1, 2]
    row = ledger.open_run(run.id)
    assert row is not None
    assert (row["records_read"], row["records_rejected"]) == (2, 2)


def test_a_page_of_bad_records_alone_is_taken_where_the_copy_holds_others(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"))
    page = Page([], rejected=[Rejected(b"{", "not_json", "No.")])
    assert Loader(ledger.database, run, lease=LEASE).load(page, NEXT, run.now()).rejected == 1
