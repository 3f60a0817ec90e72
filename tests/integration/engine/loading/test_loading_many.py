"""Many records at once: sifted, copied straight in or staged, and all of it one transaction, whatever happens."""

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from servers.rows.ledger import LEASE, NEXT, Ledger, many, record
from servers.waiting import beside, wait_until, waiting

from worker.connectors.contract import Page, Record, Rejected
from worker.engine.loading.load import Loader, Observed
from worker.engine.loading.sift import FEW, FEW_CHANGED
from worker.errors import Cancelled, LostLease
from worker.runs.cancel import cancel_run
from worker.runs.rescue import rescue_lapsed

pytestmark = pytest.mark.integration

SECOND = timedelta(seconds=1)
MORE = FEW + 1


def test_new_records_are_created_with_the_bytes_as_sent(ledger: Ledger) -> None:
    text = '{"b":1.10, "a" : "\\u00e4\\ud83d", "n": 123456789012345678901234567890.000, "a":2}'
    run = ledger.claimed()
    assert ledger.load(run, record("ä", text, version=3), *many()).created == MORE + 1
    row = ledger.rows()["ä"]
    seen = (row["text"], row["version"], row["change_kind"], row["cause_id"], row["deleted_at"])
    assert seen == (text, 3, "created", run.id, None)
    assert row["first_seen_at"] is not None


@pytest.mark.parametrize("stated", [("version", None), ("updated_at", None)])
def test_what_a_record_does_not_say_is_null(ledger: Ledger, stated: tuple[str, None]) -> None:
    named = record("7", version=3)
    setattr(named, *stated)
    ledger.load(ledger.claimed(), named, *many())
    row = ledger.rows()["7"]
    shown = (row["version"], row["source_updated_at"])
    assert shown == (named.version, named.updated_at)


def test_pages_read_again_write_nothing_at_all(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, *many('{"a":1}', version=3))
    physical = "SELECT ctid, xmin::text, xmax::text FROM records ORDER BY key"
    before = ledger.database.all(physical)
    loaded = ledger.load(run, *many('{"a":1}', version=3))
    assert (loaded.created, loaded.updated, loaded.refused) == (0, 0, 0)
    assert ledger.database.all(physical) == before  # not even locked


def test_new_changed_unchanged_older_and_deleted_records_of_one_page_are_told_apart(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(
        run,
        record("same", '{"a":1}', version=3),
        record("changed", '{"a":1}', version=3),
        record("older", '{"a":3}', version=9),
        record("gone", '{"a":1}', version=3),
    )
    loaded = ledger.load(
        run,
        *many(),
        record("same", '{"a":1}', version=3),
        record("changed", '{"a":2}', version=4),
        record("older", '{"a":2}', version=8),
        record("gone", '{"a":1}', version=4, deleted=True),
        record("never there", '{"a":1}', version=1, deleted=True),
    )
    counts = (loaded.created, loaded.updated, loaded.deleted, loaded.refused)
    assert counts == (MORE, 1, 2, 1)
    rows = ledger.rows()
    assert {key: rows[key]["text"] for key in ("same", "changed", "older")} == {
        "same": '{"a":1}',
        "changed": '{"a":2}',
        "older": '{"a":3}',
    }
    assert rows["gone"]["deleted_at"] is not None
    assert rows["never there"]["deleted_at"] is not None
    row = ledger.open_run(run.id)
    assert row is not None
    assert (row["records_read"], row["records_created"], row["records_deleted"]) == (MORE + 9, MORE + 4, 2)


def test_many_changed_records_take_new_places_in_the_feed(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, *many('{"a":1}'))
    before = ledger.rows()
    assert ledger.load(run, *many('{"a":2}')).updated == MORE
    for key, row in ledger.rows().items():
        assert int(row["xid"]) > int(before[key]["xid"])
        assert row["first_seen_at"] == before[key]["first_seen_at"]


def test_what_follows_a_batch_that_had_changed_is_told_apart_without_a_look_first(ledger: Ledger) -> None:
    loader, count = Loader(ledger.database, run := ledger.claimed(), lease=LEASE), 2 * FEW_CHANGED

    def batch(text: str, version: int, *others: Record) -> list[Record]:
        return [*others, *(record(f"r{n:04}", text, version=version) for n in range(len(others), count))]

    loader.load(Page(batch('{"a":1}', 3)), NEXT, run.now())
    assert loader.load(Page(batch('{"a":2}', 4)), NEXT, run.now()).updated == count

    mixed = [
        *(record(f"r{n:04}", '{"a":2}', version=4) for n in range(100)),  # unchanged
        *(record(f"r{n:04}", '{"a":9}', version=1) for n in range(100, 105)),  # older
        *(record(f"r{n:04}", '{"a":3}', version=5, deleted=True) for n in range(105, 108)),
        *(record(f"new{n}", '{"a":3}', version=5) for n in range(4)),
        *(record(f"r{n:04}", '{"a":3}', version=5) for n in range(108, count)),
    ]
    loaded = loader.load(Page(mixed), NEXT, run.now())
    counts = (loaded.created, loaded.updated, loaded.deleted, loaded.refused)
    assert counts == (4, count - 108, 3, 5)
    rows = ledger.rows()
    texts = {rows[key]["text"] for key in ("r0000", "r0104")}, rows["r0108"]["text"], rows["new3"]["text"]
    assert texts == ({'{"a":2}'}, '{"a":3}', '{"a":3}')

    physical = "SELECT ctid, xmin::text, xmax::text FROM records ORDER BY key"
    before = ledger.database.all(physical)
    loader.load(
        Page(mixed), NEXT, run.now()
    )  # that batch had not changed for the most part: looked at first again
    assert ledger.database.all(physical) == before


def test_pages_of_a_group_are_judged_each_by_when_it_was_asked_for(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1", '{"a":0}'), record("2", '{"a":0}'), at=run.claimed_at + SECOND)
    early, late = (
        Observed(Page([record(key, '{"a":1}'), *many()]), run.claimed_at + seconds * SECOND)
        for key, seconds in (("1", 0), ("2", 2))
    )
    loaded = Loader(ledger.database, run, lease=LEASE).load_pages([early, late], NEXT)
    assert (loaded.created, loaded.updated, loaded.refused) == (MORE, 1, 1)
    assert [ledger.rows()[key]["text"] for key in "12"] == ['{"a":0}', '{"a":1}']


def test_a_record_that_shifted_to_the_next_page_of_a_group_keeps_its_later_word(ledger: Ledger) -> None:
    run = ledger.claimed()
    pages = [
        Observed(Page([record("7", '{"a":1}'), *many()], total=500), run.now()),
        Observed(Page([record("7", '{"a":2}')]), run.now()),
    ]
    loaded = Loader(ledger.database, run, lease=LEASE).load_pages(pages, NEXT)
    assert loaded.created == MORE + 1
    assert ledger.rows()["7"]["text"] == '{"a":2}'
    row = ledger.open_run(run.id)
    assert row is not None
    assert (row["pages"], row["records_total"]) == (2, 500)


def test_a_page_that_was_asked_for_again_is_not_overruled_by_an_older_one_after_it(ledger: Ledger) -> None:
    """Asked for side by side, the first was refused and came later than the second."""
    run = ledger.claimed()
    pages = [
        Observed(Page([record("7", '{"a":2}'), record("8", '{"a":1}', version=1)]), run.claimed_at + SECOND),
        Observed(Page([record("7", '{"a":1}'), record("8", '{"a":2}', version=2)]), run.claimed_at),
    ]
    Loader(ledger.database, run, lease=LEASE).load_pages(pages, NEXT)
    assert {key: row["text"] for key, row in ledger.rows().items()} == {"7": '{"a":2}', "8": '{"a":2}'}


def test_a_record_that_comes_again_in_a_later_group_is_no_stumbling_block(ledger: Ledger) -> None:
    """The first group found an empty stream, so the second expects everything to be new."""
    run = ledger.claimed()
    loader = Loader(ledger.database, run, lease=LEASE)
    loader.load(Page(many('{"a":1}')), NEXT, run.now())
    again = loader.load(Page([*many('{"a":1}'), record("7")]), NEXT, run.now())
    assert (again.created, again.updated) == (1, 0)
    assert set(ledger.rows()) == {"7", *(each.key for each in many())}


def test_a_key_that_another_run_writes_at_the_same_time_is_found_and_judged(
    ledger: Ledger, database_url: str
) -> None:
    """Both runs believe that it is new. The one that comes later looks again."""
    run = ledger.claimed()
    loader = Loader(ledger.database, run, lease=LEASE)
    loader.load(Page(many()), NEXT, run.now())
    newer = record("7", '{"a":2}', version=2)
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "INSERT INTO records (bucket, stream_id, key, raw, content_hash, version, observed_at, cause_kind,"
            " cause_id, change_kind) VALUES (1, %s, '7', '{\"a\":2}', %s, 2, now(), 'run', gen_random_uuid(), 'created')",
            (ledger.stream, UUID(bytes=newer.digest)),
        )
    fresh = [record(f"n{number:03}") for number in range(MORE)]
    loaded = loader.load(Page([record("7", '{"a":1}', version=1), *fresh]), NEXT, run.now())
    assert (loaded.created, loaded.refused) == (MORE, 1)
    assert ledger.rows()["7"]["text"] == '{"a":2}'


def test_two_that_wait_for_each_other_in_a_circle_both_get_their_rows_in(
    ledger: Ledger, database_url: str
) -> None:
    """New rows go in before changed ones, so the order of keys alone doesn't keep two runs apart."""
    run = ledger.claimed()
    ledger.load(run, record("a", '{"a":1}', version=1))
    page = [record("a", '{"a":3}', version=3), *many(), record("x", '{"a":1}', version=1)]
    newer = record("x", '{"a":2}', version=2)
    with psycopg.connect(database_url) as other:
        other.execute("SET deadlock_timeout = '30s'")  # so that it is the page that has to give way
        other.execute("UPDATE records SET observed_at = observed_at WHERE key = 'a'")
        with beside(lambda: ledger.load(run, *page)) as met:
            wait_until(lambda: waiting(ledger.database) == 1, what="the page")
            other.execute(
                "INSERT INTO records (bucket, stream_id, key, raw, content_hash, version, observed_at, cause_kind,"
                " cause_id, change_kind) VALUES (1, %s, 'x', '{\"a\":2}', %s, 2, now(), 'run', gen_random_uuid(),"
                " 'created')",
                (ledger.stream, UUID(bytes=newer.digest)),
            )
            other.commit()
    assert met == []
    rows = ledger.rows()
    assert [rows[key]["text"] for key in ("a", "x")] == ['{"a":3}', '{"a":2}']
    row = ledger.open_run(run.id)
    assert row is not None
    counted = (row["pages"], row["records_created"], row["records_updated"])
    assert counted == (2, MORE + 1, 1)
    gave_way = "SELECT FROM pg_stat_database WHERE datname = current_database() AND deadlocks > 0"
    wait_until(lambda: ledger.database.all(gave_way), what="somebody who gave way")


def broken(key: str) -> Record:
    made: Record = record(key, '{"a":')
    return made


def test_a_record_that_postgres_refuses_is_set_aside_and_its_group_stays(ledger: Ledger) -> None:
    run = ledger.claimed()
    aside = Rejected(b"x", "bad_key", "No key.")
    pages = [
        Observed(Page(many(), rejected=[aside]), run.now()),
        Observed(Page([broken("bad"), record("7")]), run.now()),
    ]
    loaded = Loader(ledger.database, run, lease=LEASE).load_pages(pages, NEXT)
    assert (loaded.created, loaded.rejected) == (MORE + 1, 2)
    assert "bad" not in ledger.rows()
    rows = ledger.database.all("SELECT code, page, seen FROM quarantine ORDER BY code")
    assert [(row["code"], row["page"], row["seen"]) for row in rows] == [
        ("bad_key", 1, 1),
        ("refused_by_postgres", 2, 1),
    ]


def test_what_is_set_aside_while_two_runs_meet_is_filed_and_counted_once(ledger: Ledger) -> None:
    """The first attempt set it aside and met the other run's key; what it wrote went back with it."""
    run, other = ledger.claimed(), ledger.claimed(track="history")
    loader = Loader(ledger.database, run, lease=LEASE)
    loader.load(Page(many()), NEXT, run.now())
    ledger.load(other, record("7", '{"a":2}', version=2))
    aside = Rejected(b"x", "bad_key", "No key.")
    loaded = loader.load(Page([record("7", '{"a":1}', version=1)], rejected=[aside]), NEXT, run.now())
    assert (loaded.created, loaded.updated, loaded.refused, loaded.rejected) == (0, 0, 1, 1)
    assert ledger.database.all("SELECT page, seen FROM quarantine") == [{"page": 2, "seen": 1}]
    row = ledger.open_run(run.id)
    assert row is not None
    counted = (row["pages"], row["records_read"], row["records_rejected"], row["records_refused"])
    assert counted == (2, MORE + 2, 1, 1)
    assert ledger.rows()["7"]["text"] == '{"a":2}'


def test_a_stale_worker_writes_nothing_of_a_group(ledger: Ledger) -> None:
    stale = ledger.claimed()
    loader = Loader(ledger.database, stale, lease=LEASE)
    loader.load(Page(many()), NEXT, stale.now())
    before = ledger.rows()
    ledger.lapse(stale.id)
    rescue_lapsed(ledger.database, max_attempts=5)
    assert ledger.claim(stale.id) is not None
    fresh = [record(f"n{number:03}") for number in range(MORE)]
    for records in (fresh, [*many('{"a":2}')]):
        with pytest.raises(LostLease):
            loader.load(Page(records), NEXT, stale.now())
    assert ledger.rows() == before


def test_a_cancelled_run_keeps_its_group_and_stops(ledger: Ledger) -> None:
    run = ledger.claimed()
    cancel_run(ledger.database, run.id)
    with pytest.raises(Cancelled):
        ledger.load(run, *many())
    assert len(ledger.rows()) == MORE


def test_a_record_larger_than_many_pages_arrives_whole(ledger: Ledger) -> None:
    run = ledger.claimed()
    large = '{"a":"' + "x" * 5_000_000 + '"}'
    assert ledger.load(run, record("large", large), record("small")).created == 2
    assert ledger.rows()["large"]["text"] == large
    assert ledger.load(run, record("large", large.replace("x", "y")), record("small")).updated == 1
    assert ledger.rows()["large"]["text"] == large.replace("x", "y")


def test_every_partition_has_the_name_that_statements_call_it_by(ledger: Ledger) -> None:
    found = ledger.database.all(
        "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound"
        "  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'records'::regclass"
    )
    assert {row["name"]: row["bound"] for row in found} == {
        f"records_{bucket:02d}": f"FOR VALUES IN ('{bucket}')" for bucket in range(32)
    }
