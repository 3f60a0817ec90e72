"""Two at once, and somebody who holds on to a lock: nobody waits for ever, and nobody ends who was not meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow
from servers.rows.ledger import LEASE, Ledger, record
from servers.waiting import beside, wait_until, waiting

from scheduler.beat.dispatch.streams import DISPATCH, QUEUE
from scheduler.beat.scheduler import ConnectionScheduler
from scheduler.beat.upkeep.sweeps import Sweep
from worker.app import celery_app
from worker.config import load_settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.queries import sql, with_constants
from worker.errors import Transient
from worker.runs.leases import Leases
from worker.runs.rescue import rescue_lapsed
from worker.services import Services, serving

pytestmark = pytest.mark.integration

NOTHING_RECKONED: dict[str, Any] = {
    "streams": [],
    "schedules": [],
    "places": [],
    "paced": [],
    "most": [],
    "times": [],
    "queue": QUEUE,
}


def test_a_request_and_a_beat_on_one_stream_do_not_wait_for_each_other(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET next_run_at = now() WHERE id = %(s)s", {"s": ledger.stream})
    with ledger.database.transaction() as beat:
        assert len(beat.execute(DISPATCH, NOTHING_RECKONED).fetchall()) == 1
        with beside(ledger.request) as met:
            wait_until(
                lambda: waiting(ledger.database) or ledger.database.all("SELECT FROM runs"), what="a request"
            )
            # The stream's row is still held, for the point that beat has reckoned meanwhile.
            beat.execute(
                "UPDATE streams SET next_run_at = now() + interval '1 h' WHERE id = %s", (ledger.stream,)
            )
    assert met == []


def test_a_lapsed_run_whose_row_is_held_keeps_no_other_from_its_rescue(
    ledger: Ledger, database_url: str
) -> None:
    held, other = ledger.claimed(), ledger.claimed(stream=ledger.other)
    for run in (held, other):
        ledger.lapse(run.id)
    with psycopg.connect(database_url) as somebody:
        somebody.execute("SELECT FROM runs WHERE id = %s FOR UPDATE", (held.id,))
        assert rescue_lapsed(ledger.database, max_attempts=5).wakeups == ((other.id, "sync.demo.live"),)
    assert rescue_lapsed(ledger.database, max_attempts=5).saved == 1


def test_a_backend_that_came_after_the_lapse_is_not_ended_for_its_number(
    ledger: Ledger, database_url: str
) -> None:
    run = ledger.claimed()
    ledger.lapse(run.id)
    with psycopg.connect(database_url, application_name="headrace worker", autocommit=True) as innocent:
        innocent.execute("UPDATE runs SET backend_pid = pg_backend_pid() WHERE id = %s", (run.id,))
        assert rescue_lapsed(ledger.database, max_attempts=5).saved == 1
        assert innocent.execute("SELECT 1").fetchone() == (1,)


def test_the_same_bad_records_in_another_order_make_no_deadlock(ledger: Ledger, database_url: str) -> None:
    a, b, c = (UUID(int=n) for n in (1, 2, 3))
    run = ledger.claimed()

    def set_aside(hashes: list[UUID]) -> None:
        words = ["x"] * len(hashes)
        ledger.database.run(
            sql.quarantine_records,
            {"stream": ledger.stream, "run": run.id, "page": 1, "hashes": hashes, "keys": words, "codes": words,
             "reasons": words, "raws": [b"x"] * len(hashes)},
        )  # fmt: skip

    set_aside([a, b, c])
    with psycopg.connect(database_url) as somebody:
        somebody.execute("SELECT FROM quarantine WHERE content_hash = %s FOR UPDATE", (c,))
        with beside(lambda: set_aside([a, c, b])) as first, beside(lambda: set_aside([b, c, a])) as second:
            wait_until(lambda: waiting(ledger.database) == 2, what="both to wait")
            somebody.rollback()
    assert first == second == []


class Fails(Database):
    """Postgres, but the first statement meets an error that nobody thought of."""

    failed = False

    def all(self, statement: str, params: Any = None) -> list[DictRow]:
        if not self.failed:
            self.failed = True
            raise RuntimeError("can't start new thread")
        return super().all(statement, params)


def test_an_unforeseen_error_does_not_end_the_renewing_of_leases(ledger: Ledger, database_url: str) -> None:
    database = Fails(database_url, name="test", pool=1)
    leases = Leases(database, lease=0.2)
    run = ledger.claimed(lease=LEASE)
    before = ledger.open_run(run.id)
    with leases.holding(run.id, run.claim_no):
        wait_until(lambda: ledger.open_run(run.id)["lease_until"] != before["lease_until"], what="a renewal")
    leases.close()
    database.close()


def test_a_run_whose_row_is_held_costs_no_other_its_lease(ledger: Ledger, database_url: str) -> None:
    leases = Leases(ledger.database, lease=3600)
    held, other = ledger.claimed(), ledger.claimed(stream=ledger.other)
    with (
        leases.holding(held.id, held.claim_no) as ours,
        leases.holding(other.id, other.claim_no),
        psycopg.connect(database_url) as somebody,
    ):
        somebody.execute("SELECT FROM runs WHERE id = %s FOR UPDATE", (held.id,))
        leases.renew()
        renewed = ledger.database.all("SELECT id FROM runs WHERE lease_until > now() + interval '1 minute'")
        assert ([row["id"] for row in renewed], ours.lost) == ([other.id], False)
    leases.close()


def test_a_run_that_comes_back_to_its_process_is_renewed_when_the_old_thread_lets_go(ledger: Ledger) -> None:
    leases = Leases(ledger.database, lease=3600)
    old = ledger.claimed()
    with leases.holding(old.id, old.claim_no) as stale:
        ledger.lapse(old.id)
        rescue_lapsed(ledger.database, max_attempts=5)
        new = ledger.claim(old.id)
        assert new is not None
        again = leases.holding(new.id, new.claim_no)
        held = again.__enter__()
        leases.renew()
        assert (stale.lost, held.lost) == (True, False)
    ledger.lapse(new.id)
    leases.renew()
    assert ledger.database.one("SELECT lease_until > now() AS kept FROM runs") == {"kept": True}
    again.__exit__(None, None, None)
    leases.close()


def test_a_postgres_that_only_reads_is_one_that_cant_be_used_now(ledger: Ledger) -> None:
    run = ledger.claimed()
    with ledger.database.connection() as connection:
        connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(Transient) as refusal:
        ledger.load(run)
    assert refusal.value.code == "database_unavailable"


def test_a_sweep_that_fails_does_not_keep_streams_from_their_runs(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Services) -> None:
        raise Transient("database_unavailable", "A lock is held.")

    monkeypatch.setattr("scheduler.beat.scheduler.SWEEPS", (Sweep("rescue", 0.0, fail),))
    ledger.database.run("UPDATE streams SET next_run_at = now()")
    with serving(
        cast(
            "Services",
            SimpleNamespace(
                database=ledger.database, registry=Registry({}), settings=load_settings(environment={})
            ),
        )
    ):
        ConnectionScheduler(celery_app, lazy=True).tick()
    assert ledger.database.one("SELECT count(*) AS n FROM runs") == {"n": 2}


def test_two_runs_of_a_track_claimed_at_the_same_instant_are_one_claim(ledger: Ledger) -> None:
    first, second = (ledger.request(track="records", scope={"ids": [n]}) for n in (1, 2))
    got: list[object] = []
    with ledger.database.transaction() as other:
        other.execute(sql.claim_run, {"run": first.id, "worker": "there:1", "lease": LEASE, "line": 16})
        with beside(lambda: got.append(ledger.claim(second.id))) as met:
            wait_until(lambda: waiting(ledger.database), what="the second claim")
            other.execute("COMMIT; BEGIN")
    assert (met, got) == ([], [None])


def test_beats_at_once_take_other_streams_and_wait_for_nobody(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET next_run_at = now()")
    one_stream = with_constants(sql.dispatch_due, batch=1, least=64, multiple=8)
    with ledger.database.transaction() as one, ledger.database.transaction() as other:
        assert len(one.execute(one_stream, NOTHING_RECKONED).fetchall()) == 1
        assert len(other.execute(DISPATCH, NOTHING_RECKONED).fetchall()) == 1


@contextmanager
def another_writes(
    ledger: Ledger, database_url: str, *, raw: str, version: int
) -> Iterator[psycopg.Connection]:
    """Another run has written record 7, and hasn't committed yet."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO records (bucket, stream_id, key, raw, content_hash, version, observed_at, first_seen_at,"
            " cause_kind, cause_id, change_kind)"
            " VALUES (1, %s, '7', %s, %s, %s, now(), now(), 'run', gen_random_uuid(), 'created')",
            (ledger.stream, raw, UUID(bytes=record("7", raw).digest), version),
        )
        yield connection


@pytest.mark.parametrize(
    ("raw", "version", "written"), [('{"a":1}', 4, False), ('{"a":2}', 5, False), ('{"a":1}', 6, True)]
)
def test_newer_wins_even_where_another_run_writes_at_the_same_time(
    ledger: Ledger, database_url: str, raw: str, version: int, written: bool
) -> None:
    run = ledger.claimed()
    with (
        another_writes(ledger, database_url, raw='{"a":2}', version=5) as other,
        beside(lambda: ledger.load(run, record("7", raw, version=version))) as met,
    ):
        wait_until(lambda: waiting(ledger.database), what="the page")
        other.commit()
    row = ledger.rows()["7"]
    assert met == []
    assert (row["text"], row["cause_id"] == run.id) == ((raw, True) if written else ('{"a":2}', False))


def test_two_tracks_load_the_same_records_in_another_order_without_a_deadlock(
    ledger: Ledger, database_url: str
) -> None:
    live, history = ledger.claimed(), ledger.claimed(track="history")
    ledger.load(live, *(record(key) for key in "abc"))
    later = live.now()
    with psycopg.connect(database_url) as somebody:
        somebody.execute("SELECT FROM records WHERE key = 'c' FOR UPDATE")
        pages = (
            lambda: ledger.load(live, *(record(k, '{"a":1}') for k in "acb"), at=later),
            lambda: ledger.load(history, *(record(k, '{"a":2}') for k in "bca"), at=later),
        )
        with beside(pages[0]) as first, beside(pages[1]) as second:
            wait_until(lambda: waiting(ledger.database) == 2, what="both to wait")
            somebody.rollback()
    assert first == second == []
