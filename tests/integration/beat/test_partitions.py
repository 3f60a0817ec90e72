"""The history of runs stays bounded: days ahead are made, days behind are dropped, and no run is refused meanwhile."""

import threading
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from servers.rows.ledger import Ledger

from scheduler.beat.upkeep.partitions import AHEAD, RUN_HISTORY, first_id, keep_partitions, name_of
from worker.db.database import Database
from worker.runs.finish import finish_run
from worker.runs.states import State

pytestmark = pytest.mark.integration

EVENTFUL, UNEVENTFUL = RUN_HISTORY


def today(database: Database) -> date:
    row = database.one("SELECT (now() AT TIME ZONE 'UTC')::date AS today")
    assert row is not None
    found: date = row["today"]
    return found


def tables(database: Database, table: str) -> set[str]:
    rows = database.all(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = %(t)s::regclass",
        {"t": table},
    )
    return {row["name"] for row in rows}


def remember(database: Database, run_id: UUID, *, uneventful: bool) -> None:
    """A run that ended, with this id."""
    database.run(
        "INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state,"
        " claim_no, attempt, request_id, created_at, pages, records_read, records_created, records_updated,"
        " records_deleted, records_refused, records_rejected)"
        " VALUES (%(id)s, %(u)s, 1, 1, 'q', 'live', '{}', 3, 'schedule', 'succeeded',"
        " 1, 0, 'r', now(), 0, 0, 0, 0, 0, 0, 0)",
        {"id": run_id, "u": uneventful},
    )


def of_day(day: date) -> UUID:
    return UUID(int=first_id(day).int + (7 << 76) + 1)


def partition_of(database: Database, run_id: UUID) -> str | None:
    row = database.one(
        "SELECT tableoid::regclass::text AS name FROM run_history WHERE id = %(id)s", {"id": run_id}
    )
    return row["name"] if row else None


def test_today_and_the_days_ahead_are_there_and_a_second_time_changes_nothing(ledger: Ledger) -> None:
    first = today(ledger.database)
    for _ in range(2):
        keep_partitions(ledger.database)
        for kept in RUN_HISTORY:
            wanted = {name_of(kept.table, first + timedelta(days=n)) for n in range(AHEAD + 1)}
            assert tables(ledger.database, kept.table) == {*wanted, f"{kept.table}_default"}


def test_a_run_that_ends_lands_in_the_day_of_its_id(ledger: Ledger) -> None:
    keep_partitions(ledger.database)
    run = ledger.claimed()
    finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
    assert partition_of(ledger.database, run.id) == name_of(EVENTFUL.table, today(ledger.database))


def test_a_day_that_the_default_holds_runs_of_stays_there_and_goes_when_its_time_comes(
    ledger: Ledger,
) -> None:
    database, now = ledger.database, today(ledger.database)
    old, kept, fresh = (of_day(now - timedelta(days=n)) for n in (4, 3, 0))
    for run_id in (old, kept, fresh):
        remember(database, run_id, uneventful=True)
    remember(database, UUID(int=old.int + 1), uneventful=False)
    keep_partitions(database)
    default = f"{UNEVENTFUL.table}_default"
    assert [partition_of(database, run_id) for run_id in (old, kept, fresh)] == [None, default, default]
    assert partition_of(database, UUID(int=old.int + 1)) == f"{EVENTFUL.table}_default"
    assert name_of(UNEVENTFUL.table, now) not in tables(database, UNEVENTFUL.table)


def test_days_behind_are_dropped_whole(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    database, now = ledger.database, today(ledger.database)
    monkeypatch.setattr("scheduler.beat.upkeep.partitions._today", lambda _: now - timedelta(days=4))
    keep_partitions(database)
    gone, kept = of_day(now - timedelta(days=4)), of_day(now - timedelta(days=3))
    for run_id in (gone, kept):
        remember(database, run_id, uneventful=True)
    monkeypatch.undo()
    keep_partitions(database)
    assert (partition_of(database, gone), partition_of(database, kept)) == (
        None,
        name_of(UNEVENTFUL.table, now - timedelta(days=3)),
    )
    assert name_of(EVENTFUL.table, now - timedelta(days=4)) in tables(database, EVENTFUL.table)


def test_beats_at_once_take_turns(ledger: Ledger) -> None:
    met: list[Exception] = []
    barrier = threading.Barrier(3)

    def keep() -> None:
        barrier.wait()
        try:
            keep_partitions(ledger.database)
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            met.append(exc)

    threads = [threading.Thread(target=keep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == []
    assert len(tables(ledger.database, EVENTFUL.table)) == AHEAD + 2


def test_behind_whoever_reads_the_history_for_long_it_is_put_off_and_no_run_waits(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup, say. Whoever waits for the whole table keeps all those waiting that come after."""
    monkeypatch.setattr("scheduler.beat.upkeep.partitions.PATIENCE", "10ms")
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM run_history")
        keep_partitions(ledger.database)
        assert tables(ledger.database, EVENTFUL.table) == {f"{EVENTFUL.table}_default"}
        run = ledger.claimed()
        finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
    keep_partitions(ledger.database)
    assert len(tables(ledger.database, EVENTFUL.table)) == AHEAD + 1, (
        "all but today, which has a run elsewhere"
    )
