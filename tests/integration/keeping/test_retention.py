"""What piles up goes when its time is over, in bounded batches, and nothing goes before."""

import json
from datetime import timedelta
from typing import Any

import pytest
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from scheduler.beat.upkeep.partitions import Kept, keep_partitions
from scheduler.beat.upkeep.retention import (
    LOOK_EVERY,
    RETENTIONS,
    Pruning,
    finish_removals,
    partitions_kept,
    prune_tombstones,
)
from scheduler.connections.remove import remove_connection
from worker.config import Settings
from worker.connectors.contract import Gone, Page, Rejected
from worker.db.database import Database
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed

pytestmark = pytest.mark.integration


def count(database: Database, table: str) -> int:
    row = database.one(f"SELECT count(*) AS n FROM {table}")
    assert row is not None
    return int(row["n"])


def keep(ledger: Ledger, seconds: float) -> None:
    ledger.database.run(
        "UPDATE streams SET options = %(o)s WHERE id = %(s)s",
        {"o": json.dumps({"keep_versions": seconds}), "s": ledger.stream},
    )


def load(ledger: Ledger, *keys: str, text: str = "{}", gone: tuple[str, ...] = (), **more: Any) -> None:
    run = ledger.claimed(stream=ledger.stream)
    page = Page([record(key, text) for key in keys], gone=[Gone(key, "sweep") for key in gone], **more)
    Loader(ledger.database, run, lease=LEASE, extras=[Versions()], authoritative=True).load_pages(
        [Observed(page, run.now())], NEXT
    )
    ledger.database.run("DELETE FROM runs WHERE id = %(id)s", {"id": run.id})


def age(ledger: Ledger, table: str, column: str, days: int, where: str = "true") -> None:
    ledger.database.run(f"UPDATE {table} SET {column} = {column} - interval '{days} days' WHERE {where}")


def floor(database: Database) -> tuple[int, int]:
    row = database.one("SELECT floor_xid::text AS xid, floor_seq FROM feed_state")
    assert row is not None
    return int(row["xid"]), row["floor_seq"]


def test_tombstones_go_with_their_keys_and_the_feed_says_how_far_it_has_forgotten(ledger: Ledger) -> None:
    load(ledger, "a", "b", "c")
    load(ledger, gone=("a", "b"))
    age(ledger, "records", "deleted_at", 91, "key = 'a'")
    before = ledger.rows()
    assert prune_tombstones(ledger.database, 90) == 1
    assert set(ledger.rows()) == {"b", "c"}
    assert floor(ledger.database) == (int(before["a"]["xid"]), before["a"]["change_seq"])
    assert prune_tombstones(ledger.database, 90) == 0


def test_the_floor_is_the_last_of_what_went_in_the_order_of_the_feed(ledger: Ledger) -> None:
    load(ledger, "a", "b")
    load(ledger, gone=("a",))
    load(ledger, gone=("b",))
    age(ledger, "records", "deleted_at", 91)
    age(ledger, "records", "deleted_at", 5, "key = 'b'")
    last = ledger.rows()["b"]
    assert prune_tombstones(ledger.database, 90) == 2
    assert floor(ledger.database) == (int(last["xid"]), last["change_seq"])


def test_versions_go_when_their_streams_time_is_over_and_all_where_they_are_switched_off(
    ledger: Ledger,
) -> None:
    keep(ledger, 10 * 86400.0)
    for n in range(3):
        load(ledger, "a", text=f'{{"n":{n}}}')
    ledger.database.run(
        "UPDATE record_versions SET valid_to = now() - interval '11 days' WHERE raw->>'n' = '0'"
    )
    pruned = Pruning().prune_with(ledger.database, Settings())
    assert (pruned["versions"], count(ledger.database, "record_versions")) == (1, 1)
    ledger.database.run("UPDATE streams SET options = options - 'keep_versions'")
    Pruning().prune_with(ledger.database, Settings())
    assert count(ledger.database, "record_versions") == 0


def test_what_was_set_aside_goes_when_it_has_not_come_for_long(ledger: Ledger) -> None:
    load(ledger, rejected=[Rejected(b"old", "c", "r"), Rejected(b"new", "c", "r")])
    age(ledger, "quarantine", "last_seen_at", 31, "raw = 'old'")
    Pruning().prune_with(ledger.database, Settings(keep_quarantine=30))
    assert [bytes(row["raw"]) for row in ledger.database.all("SELECT raw FROM quarantine")] == [b"new"]


def test_a_delivery_goes_when_it_was_given_up_long_ago_and_not_while_it_waits(ledger: Ledger) -> None:
    database = ledger.database
    database.run(
        "INSERT INTO subscriptions (name, url, secret, position) VALUES ('a', 'http://x', 'env://X', '1')"
    )
    for key, next_at, days in (("given up", "NULL", 31), ("waits", "now()", 31), ("fresh", "NULL", 1)):
        database.run(
            "INSERT INTO pending_deliveries (subscription_id, stream_id, key, error, next_at, failed_at)"
            f" SELECT id, {ledger.stream}, '{key}', 'x', {next_at}, now() - interval '{days} days' FROM subscriptions"
        )
    Pruning().prune_with(database, Settings(keep_deliveries=30))
    assert {row["key"] for row in database.all("SELECT key FROM pending_deliveries")} == {"waits", "fresh"}


def test_results_of_comparisons_go_when_their_time_is_over(ledger: Ledger) -> None:
    for days in (364, 366):
        ledger.database.run(
            "INSERT INTO verifications (run_id, stream_id, started_at, finished_at, methods, scope, allowance, requests,"
            " checked, copy_records, missing, extra, different, pending, repaired, proven, words) VALUES"
            f" (headrace_uuid7(), {ledger.stream}, now(), now() - interval '{days} days', '{{}}', '{{}}', 1, 1, 1, 1, 0, 0,"
            " 0, 0, 0, true, '')"
        )
    Pruning().prune_with(ledger.database, Settings())
    assert count(ledger.database, "verifications") == 1


def test_a_full_batch_goes_on_at_once_and_else_there_is_an_hours_rest(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.beat.upkeep.retention.BATCH", 2)
    load(ledger, "a", "b", "c")
    load(ledger, gone=("a", "b", "c"))
    age(ledger, "records", "deleted_at", 91)
    now = [0.0]
    pruning = Pruning(lambda: now[0])
    settings = Settings()
    assert pruning.prune_with(ledger.database, settings)["tombstones"] == 2
    assert pruning.prune_with(ledger.database, settings)["tombstones"] == 1
    pruning.prune_with(ledger.database, settings)  # the versions
    assert pruning.prune_with(ledger.database, settings) == {}
    now[0] = LOOK_EVERY
    assert set(pruning.prune_with(ledger.database, settings)) == {each.name for each in RETENTIONS}


def test_the_partitions_of_versions_are_months_and_go_when_the_longest_time_is_over(ledger: Ledger) -> None:
    database = ledger.database
    keep(ledger, 40 * 86400.0)
    (kept,) = [each for each in partitions_kept(database, Settings()) if each.table == "record_versions"]
    assert (kept.days, kept.monthly) == (40, True)
    keep_partitions(database, [kept])
    first = kept.first(_today(database))
    names = {
        f"record_versions_{day:%Y%m%d}" for day in (first, kept.first(_today(database) + timedelta(days=7)))
    }
    assert _parts(database) == {*names, "record_versions_default"}
    load(ledger, "a")
    load(ledger, "a", text='{"n":1}')
    row = database.one("SELECT tableoid::regclass::text AS part FROM record_versions")
    assert row == {"part": f"record_versions_{first:%Y%m%d}"}
    later = Kept("record_versions", -70, column="valid_to", monthly=True)
    keep_partitions(database, [later])
    assert f"record_versions_{first:%Y%m%d}" not in _parts(database)


def _today(database: Database) -> Any:
    row = database.one("SELECT (now() AT TIME ZONE 'UTC')::date AS today")
    assert row is not None
    return row["today"]


def _parts(database: Database) -> set[str]:
    rows = database.all(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'record_versions'::regclass"
    )
    return {row["name"] for row in rows}


def test_settings_say_for_how_long_runs_are_kept(ledger: Ledger) -> None:
    kept = partitions_kept(ledger.database, Settings(keep_runs=7, keep_idle_runs=1))
    assert [(each.table, each.days) for each in kept[:2]] == [
        ("run_history_eventful", 7),
        ("run_history_uneventful", 1),
    ]


def test_a_connection_is_gone_at_once_and_its_records_follow_in_batches(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.beat.upkeep.retention.REMOVED_AT_ONCE", 2)
    database = ledger.database
    keep(ledger, 86400.0)
    load(ledger, "a", "b", "c", "d")
    load(ledger, "a", "b", "c", text='{"n":1}')
    other = database.one(
        "INSERT INTO connections (name, system) VALUES ('other', 'demo') RETURNING id",
    )
    assert other is not None
    database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind, cause_id,"
        " change_kind) VALUES (1, 999, 'a', '{}', gen_random_uuid(), now(), now(), 'run', gen_random_uuid(), 'created')"
    )
    assert remove_connection(database, "plant").records == 4
    assert (count(database, "streams"), count(database, "records")) == (0, 5)
    assert finish_removals(database, seconds=0.0) == 2
    assert count(database, "records") == 3
    assert finish_removals(database) == 5
    assert (count(database, "records"), count(database, "record_versions")) == (1, 0)
    assert count(database, "removed_streams") == 0
