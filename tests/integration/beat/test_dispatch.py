"""What becomes of streams that are due: one run each, at once where there is room, and by points that all beats agree on."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.rows.ledger import Ledger

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.streams import BATCH, dispatch_due
from scheduler.beat.dispatch.waking import LEAST_OUTSTANDING, Waking
from scheduler.beat.due import next_due, place
from worker.app import celery_app, configure
from worker.config import load_settings
from worker.db.database import Database
from worker.runs.alive import Alive

pytestmark = pytest.mark.integration

QUEUE = "sync.demo"
SPACIOUS = 10_000
WEEK = 7 * 86400
"""No stream comes due a second time while a test runs."""


@pytest.fixture(autouse=True)
def broker(database_url: str, broker_url: str) -> None:
    configure(
        load_settings(database_url=SecretStr(database_url), broker_url=SecretStr(broker_url)),
        [QUEUE],
        publisher=True,
    )


def messages() -> int:
    with celery_app.connection_for_read() as connection:
        return int(connection.default_channel._size(QUEUE))


def due_streams(
    ledger: Ledger, count: int, *, schedule: dict[str, Any] | None = None, connection: int | None = None
) -> None:
    ledger.database.run(
        "INSERT INTO streams (connection_id, name, bucket, schedule, next_run_at)"
        " SELECT coalesce(%(c)s::bigint, (SELECT min(id) FROM connections)), 's' || n || '-' || random(), 1,"
        "        %(s)s, now() - interval '1 minute' FROM generate_series(1, %(n)s) n",
        {"n": count, "s": Jsonb(schedule or {"every": WEEK}), "c": connection},
    )


def serve(ledger: Ledger, slots: int) -> None:
    Alive(ledger.database, "worker", queues=[QUEUE], slots=slots).note()


def one(database: Database, statement: str, **params: Any) -> Any:
    row = database.one(statement, params)
    assert row is not None
    (value,) = row.values()
    return value


def dispatch_all(database: Database) -> int:
    total = 0
    while found := dispatch_due(database, Pacing()):
        total += found
    return total


intervals = st.one_of(st.integers(1, 7 * 86400), st.sampled_from([300, 900, 3600, 86400, 31_622_400]))
instants = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(intervals, instants, st.integers(1, 2**63 - 1))
def test_the_database_reckons_the_next_point_as_beat_does(
    ledger: Ledger, every: int, after: datetime, stream: int
) -> None:
    found = one(
        ledger.database,
        "SELECT headrace_next_point(%(s)s, %(p)s, %(a)s) AS point",
        s=Jsonb({"every": every}),
        p=place(stream),
        a=after,
    )
    assert found == next_due({"every": every}, after, stream_id=stream)
    assert one(
        ledger.database,
        "SELECT headrace_next_point(%(s)s, %(p)s, %(a)s) AS point",
        s=Jsonb({"every": every}),
        p=place(stream),
        a=found,
    ) == found + timedelta(seconds=every)


@pytest.mark.parametrize(
    "schedule",
    [
        {},
        [],
        "soon",
        {"every": "soon"},
        {"every": 0},
        {"every": -60},
        {"every": 0.5},
        {"every": 90.5},
        {"every": 1e300},
        {"every": None},
        {"every": 86400, "at": "02:00"},
        {"every": 86400, "at": None},
    ],
)
def test_what_is_no_plain_interval_is_left_to_beat(ledger: Ledger, schedule: object) -> None:
    statement = "SELECT headrace_next_point(%(s)s, 7, now()) AS point"
    assert one(ledger.database, statement, s=Jsonb(schedule)) is None


def test_a_stream_that_no_beat_has_seen_keeps_its_place_from_then_on(ledger: Ledger) -> None:
    due_streams(ledger, 1)
    for _ in range(2):
        assert dispatch_due(ledger.database, Pacing()) == 1
        row = ledger.database.one(
            "UPDATE streams s SET next_run_at = now() - interval '1 s' FROM streams o"
            " WHERE o.id = s.id AND s.next_run_at IS NOT NULL RETURNING s.id, s.place, o.next_run_at, now() AS now"
        )
        assert row is not None
        assert row["place"] == place(row["id"])
        assert row["next_run_at"] == next_due({"every": WEEK}, row["now"], stream_id=row["id"])


def test_a_stream_whose_webhooks_tell_of_everything_comes_due_less_often(ledger: Ledger) -> None:
    due_streams(ledger, 1, schedule={"every": 600})
    ledger.database.run("""UPDATE streams SET poll_stretch = 1.5, options = '{"poll": "adaptive"}'""")
    assert dispatch_due(ledger.database, Pacing()) == 1
    row = ledger.database.one("SELECT id, next_run_at, now() AS now FROM streams WHERE place IS NOT NULL")
    assert row is not None
    assert row["next_run_at"] == next_due({"every": 900}, row["now"], stream_id=row["id"])


def test_a_wall_time_is_reckoned_by_beat_and_moves_on_in_the_same_round(ledger: Ledger) -> None:
    schedule = {"every": 86400, "at": "02:00", "timezone": "Europe/Berlin"}
    due_streams(ledger, 3, schedule=schedule)
    assert dispatch_due(ledger.database, Pacing()) == 3
    rows = ledger.database.all("SELECT id, next_run_at, now() AS now FROM streams WHERE place IS NOT NULL")
    assert [row["next_run_at"] for row in rows] == [
        next_due(schedule, row["now"], stream_id=row["id"]) for row in rows
    ]
    assert one(ledger.database, "SELECT count(*) AS n FROM runs") == 3


def test_streams_of_all_kinds_are_dispatched_once_each_however_many_batches_that_takes(
    ledger: Ledger,
) -> None:
    due_streams(ledger, BATCH + 20)
    due_streams(ledger, 30, schedule={"every": 86400, "at": "02:00", "timezone": "Asia/Tokyo"})
    due_streams(ledger, 30, schedule={"every": 0})
    total = BATCH + 80
    assert dispatch_all(ledger.database) == total
    assert one(ledger.database, "SELECT count(DISTINCT stream_id) AS n FROM runs") == total
    assert one(ledger.database, "SELECT count(*) AS n FROM streams WHERE next_run_at <= now()") == 0


def test_several_beats_at_once_ask_for_each_stream_once(ledger: Ledger) -> None:
    due_streams(ledger, 3 * BATCH)
    serve(ledger, SPACIOUS)
    done: list[int] = []
    barrier = threading.Barrier(3)

    def beat() -> None:
        barrier.wait()
        done.append(dispatch_all(ledger.database))

    threads = [threading.Thread(target=beat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) + dispatch_all(ledger.database) == 3 * BATCH
    assert one(ledger.database, "SELECT count(*) AS n FROM runs WHERE published_at IS NOT NULL") == 3 * BATCH
    assert messages() == 3 * BATCH


def test_what_is_dispatched_gets_its_message_at_once_while_its_queue_has_room(ledger: Ledger) -> None:
    serve(ledger, 1)
    due_streams(ledger, LEAST_OUTSTANDING + 10)
    dispatch_due(ledger.database, Pacing())
    assert messages() == LEAST_OUTSTANDING
    assert Waking(Pacing()).wake(ledger.database) == 0
    ledger.database.run("DELETE FROM runs WHERE published_at IS NOT NULL")
    assert Waking(Pacing()).wake(ledger.database) == 10


def test_accounts_take_turns_in_the_room_that_is_left(ledger: Ledger) -> None:
    serve(ledger, 1)
    due_streams(ledger, 2 * LEAST_OUTSTANDING)
    other = one(
        ledger.database, "INSERT INTO connections (name, system) VALUES ('b', 'demo') RETURNING id AS id"
    )
    due_streams(ledger, 5, connection=other)
    dispatch_due(ledger.database, Pacing())
    statement = "SELECT count(*) AS n FROM runs WHERE connection_id = %(c)s AND published_at IS NOT NULL"
    assert one(ledger.database, statement, c=other) == 5


def test_of_an_account_with_a_known_rate_no_more_is_sent_than_may_begin_soon(ledger: Ledger) -> None:
    """The first hundred of five hundred would be claimed before one of them was refused, at their neighbours' cost."""
    serve(ledger, 10)
    due_streams(ledger, 40)
    other = one(
        ledger.database, "INSERT INTO connections (name, system) VALUES ('b', 'demo') RETURNING id AS id"
    )
    due_streams(ledger, 5, connection=other)
    pacing = Pacing([QUEUE], [16])
    dispatch_due(ledger.database, pacing)
    statement = "SELECT count(*) AS n FROM runs WHERE connection_id = %(c)s AND published_at IS NOT NULL"
    assert one(ledger.database, statement, c=other) == 5
    assert messages() == 16 + 5
    assert Waking(pacing).wake(ledger.database) == 0

    due_streams(ledger, 3)
    dispatch_due(ledger.database, pacing)
    assert messages() == 16 + 5

    ledger.database.run(
        "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE published_at IS NOT NULL"
        " AND connection_id <> %(c)s LIMIT 4)",
        {"c": other},
    )
    assert Waking(pacing).wake(ledger.database) == 4

    ledger.database.run(  # who was just claimed waits for the limit perhaps, who was claimed before for an answer
        "UPDATE runs SET state = 'running', claim_no = 1, lease_until = now() + interval '1 min', worker = 'w',"
        " claimed_at = now() WHERE published_at IS NOT NULL AND connection_id <> %(c)s",
        {"c": other},
    )
    assert Waking(pacing).wake(ledger.database) == 0
    ledger.database.run("UPDATE runs SET claimed_at = now() - interval '3 s' WHERE state = 'running'")
    assert Waking(pacing).wake(ledger.database) == 16


def test_a_queue_that_nobody_serves_gets_runs_and_no_messages(ledger: Ledger) -> None:
    due_streams(ledger, 5)
    assert dispatch_due(ledger.database, Pacing()) == 5
    assert messages() == 0
    serve(ledger, 1)
    assert Waking(Pacing()).wake(ledger.database) == 5


def test_a_stream_whose_last_run_is_at_work_gets_no_message_that_would_find_it_so(ledger: Ledger) -> None:
    serve(ledger, 1)
    ledger.claimed()
    ledger.database.run("UPDATE streams SET next_run_at = now() WHERE id = %(s)s", {"s": ledger.stream})
    assert dispatch_due(ledger.database, Pacing()) == 1
    assert one(ledger.database, "SELECT count(*) AS n FROM runs WHERE state = 'queued'") == 1
    assert messages() == 0


def test_a_stream_that_learns_an_outcome_meanwhile_still_moves_on(ledger: Ledger, database_url: str) -> None:
    """The row was changed between beat's snapshot and its lock: its time counts, and its run is asked for once."""
    due_streams(ledger, 40)
    stop = threading.Event()

    def finish() -> None:
        with psycopg.connect(database_url, autocommit=True) as worker:
            while not stop.is_set():
                worker.execute("UPDATE streams SET last_outcome = 'succeeded'")

    thread = threading.Thread(target=finish)
    thread.start()
    try:
        dispatched = dispatch_all(ledger.database)
    finally:
        stop.set()
        thread.join()
    dispatched += dispatch_all(ledger.database)  # what was held at that moment was left for the next round
    assert dispatched == 40
    assert one(ledger.database, "SELECT count(*) AS n FROM runs") == 40


def test_a_schedule_that_changes_while_beat_reckons_is_asked_for_again(ledger: Ledger) -> None:
    """What was reckoned from the old schedule counts no longer."""
    due_streams(ledger, 1, schedule={"every": 86400, "at": "02:00"})
    with ledger.database.transaction() as connection:
        stream: int = one(ledger.database, "SELECT id FROM streams WHERE next_run_at IS NOT NULL")
        connection.execute(
            "UPDATE streams SET schedule = %s WHERE id = %s", (Jsonb({"every": 60, "at": "03:00"}), stream)
        )
        assert dispatch_due(ledger.database, Pacing()) == 0  # somebody holds its row
    ledger.database.run(
        "UPDATE streams SET schedule = '{\"every\": 60}' WHERE next_run_at IS NOT NULL AND id = %(s)s",
        {"s": stream},
    )
    assert dispatch_due(ledger.database, Pacing()) == 1
    assert one(
        ledger.database,
        "SELECT next_run_at - now() <= interval '60 s' AS soon FROM streams WHERE id = %(s)s",
        s=stream,
    )


def test_a_run_whose_account_waits_for_its_limit_gets_no_message_that_would_be_refused(
    ledger: Ledger,
) -> None:
    serve(ledger, 1)
    ledger.request()
    ledger.database.run("UPDATE runs SET wait_reason = 'limit', not_before = now() + interval '1 min'")
    ledger.database.run("UPDATE streams SET next_run_at = now() WHERE id = %(s)s", {"s": ledger.other})
    assert dispatch_due(ledger.database, Pacing()) == 1
    assert messages() == 0
    assert Waking(Pacing()).wake(ledger.database) == 1  # the line is short
