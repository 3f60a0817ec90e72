"""Who is woken, when, and how many messages that takes: what waits is served, and nobody waits because of another."""

import threading
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.rows.ledger import Ledger

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.streams import dispatch_due
from scheduler.beat.dispatch.waking import Waking
from worker.app import celery_app, configure
from worker.config import load_settings
from worker.db.queries import sql, with_constants
from worker.engine.admission.turns import Turns
from worker.process import forget_messages
from worker.runs.alive import Alive
from worker.runs.claim import LINE
from worker.runs.finish import finish_run, give_back
from worker.runs.states import Lane, State
from worker.runs.wakeups.publish import publish, send_for

pytestmark = pytest.mark.integration

QUEUE = "sync.demo"


@pytest.fixture
def served(ledger: Ledger) -> Ledger:
    """A worker with one slot serves the scheduled lane."""
    Alive(ledger.database, "worker", queues=[QUEUE], slots=1).note()
    return ledger


@pytest.fixture
def broker(database_url: str, broker_url: str) -> None:
    """The application points at the test's broker, where the queues of the demo system exist."""
    settings = load_settings(database_url=SecretStr(database_url), broker_url=SecretStr(broker_url))
    configure(settings, [QUEUE], publisher=True)


def messages(queue: str = QUEUE) -> int:
    with celery_app.connection_for_read() as connection:
        return int(connection.default_channel._size(queue))


WAKEABLE = with_constants(sql.wakeable, least=4, multiple=2, visits=100, line=16)


def wakeable(ledger: Ledger, after: int = 0) -> list[UUID]:
    """What one look chooses that begins after a connection."""
    rows = ledger.database.all(WAKEABLE, {"queues": [QUEUE], "afters": [after], "paced": [], "most": []})
    return [row["id"] for row in rows if row["id"] is not None]


def more_streams(ledger: Ledger, count: int, *, connection: int | None = None) -> None:
    """Streams with a queued run each, none of them published."""
    ledger.database.run(
        "WITH made AS (INSERT INTO streams (connection_id, name, bucket, schedule)"
        "  SELECT coalesce(%(c)s::bigint, (SELECT min(id) FROM connections)), 's' || n || '-' || random(), 1, '{}'"
        "    FROM generate_series(1, %(n)s) n RETURNING id, connection_id)"
        " INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)"
        " SELECT id, connection_id, %(q)s, connection_id::text, 'live', 3, 'schedule', 'r' FROM made",
        {"n": count, "q": QUEUE, "c": connection},
    )


def other_connection(ledger: Ledger) -> int:
    row = ledger.database.one("INSERT INTO connections (name, system) VALUES ('b', 'demo') RETURNING id")
    assert row is not None
    found: int = row["id"]
    return found


def test_a_backlog_is_published_a_few_at_a_time(served: Ledger) -> None:
    more_streams(served, 20)
    assert len(wakeable(served)) == 4
    assert wakeable(served) == []


def test_a_queue_that_nobody_serves_gets_no_messages_however_long(ledger: Ledger) -> None:
    more_streams(ledger, 3)
    assert wakeable(ledger) == []
    Alive(ledger.database, "worker", queues=[QUEUE], slots=1).note()
    assert len(wakeable(ledger)) == 3


def test_a_worker_that_fell_silent_serves_nobody(served: Ledger) -> None:
    more_streams(served, 1)
    served.database.run("UPDATE processes SET seen_at = now() - interval '61 s'")
    assert wakeable(served) == []


def test_more_slots_take_more_messages(served: Ledger) -> None:
    more_streams(served, 20)
    Alive(served.database, "worker", queues=[QUEUE], slots=3).note()
    assert len(wakeable(served)) == 8


def test_a_run_that_was_given_back_is_published_anew(served: Ledger) -> None:
    run = served.claimed(lane=Lane.SCHEDULED)
    give_back(served.database, run.id, run.claim_no, wait=0, reason="drain", spent=False)
    assert wakeable(served) == [run.id]


def claim_next(ledger: Ledger) -> UUID:
    """Somebody works on the stream, and the next run waits behind it; that run."""
    run = ledger.claimed(lane=Lane.SCHEDULED)
    behind: UUID = ledger.request(Lane.SCHEDULED).id
    ledger.database.run("UPDATE runs SET published_at = NULL WHERE state = 'queued'")
    _, successor = finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
    assert successor == (behind, QUEUE)
    return behind


@pytest.mark.usefixtures("broker")
def test_whoever_ends_a_run_sends_for_the_next_and_beat_does_not(served: Ledger) -> None:
    behind = claim_next(served)
    assert send_for(served.database, [(behind, QUEUE)]) == 1
    assert wakeable(served) == []
    assert messages() == 1


@pytest.mark.usefixtures("broker")
def test_a_worker_that_dies_before_it_sends_leaves_the_next_run_to_beat(served: Ledger) -> None:
    behind = claim_next(served)
    assert wakeable(served) == [behind]


@pytest.mark.usefixtures("broker")
def test_a_run_that_waits_or_is_claimed_meanwhile_is_not_sent_for(served: Ledger) -> None:
    run = served.claimed(lane=Lane.SCHEDULED)
    assert send_for(served.database, [(run.id, QUEUE)]) == 0
    give_back(served.database, run.id, run.claim_no, wait=60, reason="limit", spent=False)
    assert send_for(served.database, [(run.id, QUEUE)]) == 0
    assert messages() == 0


def stand_in_line(ledger: Ledger, count: int) -> None:
    more_streams(ledger, count)
    ledger.database.run(
        "UPDATE runs SET wait_reason = 'limit', not_before = now() + interval '1 minute' WHERE state = 'queued'"
    )


def test_a_message_that_came_before_the_line_was_known_is_no_claim_in_vain(served: Ledger) -> None:
    stand_in_line(served, LINE)
    more_streams(served, 1)
    run = served.database.one("UPDATE runs SET published_at = now() WHERE not_before <= now() RETURNING id")
    assert run is not None
    assert served.claim(run["id"]) is None
    assert wakeable(served) == []
    served.database.run("UPDATE runs SET not_before = now()")
    served.database.run("DELETE FROM runs WHERE wait_reason = 'limit'")
    assert wakeable(served) == [run["id"]]
    assert served.claim(run["id"]) is not None


def test_a_shorter_line_and_what_is_asked_for_by_hand_are_let_through(served: Ledger) -> None:
    stand_in_line(served, LINE - 1)
    assert served.claim(served.request(Lane.SCHEDULED).id) is not None
    stand_in_line(served, LINE)
    assert served.claim(served.request(Lane.ON_DEMAND, stream=served.other).id) is not None


def test_what_waits_in_a_worker_that_ends_is_sent_for_at_once(served: Ledger) -> None:
    more_streams(served, 4)
    turns = Turns(1)
    threads = [turns.take(QUEUE, str(run)) for run in wakeable(served)]
    begun = [run for thread in threads if (run := next(thread, None))]
    turns.close()
    assert wakeable(served) == []
    forget_messages(served.database, turns)
    assert {str(run) for run in wakeable(served)} | set(begun) == {str(row["id"]) for row in all_runs(served)}
    assert len(begun) == 1


def all_runs(ledger: Ledger) -> list[dict[str, UUID]]:
    return [dict(row) for row in ledger.database.all("SELECT id FROM runs")]


def test_accounts_take_turns_however_much_one_of_them_wants(served: Ledger) -> None:
    more_streams(served, 20)
    more_streams(served, 1, connection=other_connection(served))
    woken = served.database.all(
        "SELECT account, count(*) AS n FROM runs WHERE id = ANY (%(ids)s) GROUP BY 1 ORDER BY 2",
        {"ids": wakeable(served)},
    )
    assert [row["n"] for row in woken] == [1, 3]


def test_what_cannot_be_claimed_is_not_published(served: Ledger) -> None:
    served.claimed(lane=Lane.SCHEDULED)
    blocked = served.request(Lane.SCHEDULED).id
    waits = served.claimed(lane=Lane.SCHEDULED, stream=served.other)
    give_back(served.database, waits.id, waits.claim_no, wait=60, reason="limit", spent=False)
    served.database.run("UPDATE runs SET published_at = NULL")
    assert wakeable(served) == []
    served.database.run("UPDATE connections SET paused_at = now()")
    served.database.run("DELETE FROM runs WHERE id <> %(id)s", {"id": blocked})
    assert wakeable(served) == []
    served.database.run("UPDATE connections SET paused_at = NULL")
    assert wakeable(served) == [blocked]


def test_beats_at_once_send_one_message_for_a_run(served: Ledger) -> None:
    Alive(served.database, "worker", queues=[QUEUE], slots=1000).note()
    more_streams(served, 1500)
    woken: list[UUID] = []
    barrier = threading.Barrier(3)

    def beat() -> None:
        barrier.wait()
        woken.extend(wakeable(served))

    threads = [threading.Thread(target=beat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(woken) == len(set(woken)) == 1500


def test_a_run_whose_row_is_held_keeps_no_other_from_its_message(served: Ledger, database_url: str) -> None:
    more_streams(served, 2)
    with psycopg.connect(database_url) as somebody:
        held = somebody.execute("SELECT id FROM runs LIMIT 1 FOR UPDATE").fetchone()
        assert held is not None
        (other,) = wakeable(served)
        assert other != held[0]
    assert wakeable(served) == [held[0]]


def test_asking_while_a_run_waits_for_a_limit_does_not_make_it_wait_longer(served: Ledger) -> None:
    run = served.claimed(lane=Lane.SCHEDULED)
    give_back(served.database, run.id, run.claim_no, wait=60, reason="limit", spent=False)
    assert not served.request(Lane.SCHEDULED).ready
    served.database.run("UPDATE runs SET not_before = now()")
    assert wakeable(served) == [run.id]


@pytest.mark.usefixtures("broker")
def test_a_run_of_a_system_that_is_gone_keeps_no_other_from_its_message() -> None:
    assert publish([(uuid4(), "sync.gone"), (uuid4(), QUEUE)]) == 1
    assert messages() == 1
    assert publish([(uuid4(), "sync.gone")]) == 0


@pytest.mark.usefixtures("broker")
def test_what_waits_is_published_once(served: Ledger) -> None:
    more_streams(served, 3)
    waking = Waking(Pacing())
    assert waking.wake(served.database) == 3
    assert waking.wake(served.database) == 0
    assert messages() == 3


@pytest.mark.parametrize(
    "schedule",
    [{}, {"every": 0}, {"every": "soon"}, {"every": -60}, {"every": 1e300}, {"every": 86400, "at": "25:99"}],
)
def test_one_schedule_that_cannot_be_read_stops_no_other_stream(
    ledger: Ledger, schedule: dict[str, object]
) -> None:
    ledger.database.run("UPDATE streams SET next_run_at = now()")
    ledger.database.run(
        "UPDATE streams SET schedule = %(s)s WHERE id = %(id)s", {"s": Jsonb(schedule), "id": ledger.other}
    )
    assert dispatch_due(ledger.database, Pacing()) == 2
    assert dispatch_due(ledger.database, Pacing()) == 0
    assert ledger.database.one("SELECT count(*) AS n FROM runs") == {"n": 2}
