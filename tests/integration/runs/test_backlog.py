"""A hundred thousand runs wait: whose turn is it, and what does it cost to find out?

Costs are counted in pages that Postgres looks at, which are the same on every machine.
"""

from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
import pytest
from servers.rows.ledger import Ledger

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.waking import LEAST_OUTSTANDING, VISITS, WAKEABLE, Waking
from worker.db.queries import sql, with_constants
from worker.runs.alive import Alive
from worker.runs.claim import LINE
from worker.runs.estimate import estimate, places

pytestmark = pytest.mark.integration

QUEUE, LIVE = "sync.demo", "sync.demo.live"
ROOM = 4
SMALL = with_constants(sql.wakeable, least=ROOM, multiple=1, visits=10, line=3)


@pytest.fixture
def served(ledger: Ledger) -> Ledger:
    Alive(ledger.database, "worker", queues=[QUEUE, LIVE], slots=1).note()
    return ledger


def waiting(
    ledger: Ledger,
    connections: int,
    each: int,
    *,
    queue: str = QUEUE,
    lane: int = 3,
    budget: str | None = None,
) -> list[int]:
    """New connections, each with so many queued runs that have no message; their ids."""
    rows = ledger.database.all(
        """WITH made AS (INSERT INTO connections (name, system, budget)
                         SELECT 'c' || n || '-' || gen_random_uuid(), 'demo', %(budget)s
                           FROM generate_series(1, %(connections)s) n RETURNING *),
                streams AS (INSERT INTO streams (connection_id, name, bucket, schedule)
                            SELECT id, 's' || n, 1, '{}' FROM made, generate_series(1, %(each)s) n
                            RETURNING id, connection_id),
                asked AS (INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)
                          SELECT s.id, m.id, %(queue)s, headrace_account(m), 'live', %(lane)s, 'schedule', 'r'
                            FROM streams s JOIN made m ON m.id = s.connection_id)
           SELECT id FROM made ORDER BY id""",
        {"connections": connections, "each": each, "queue": queue, "lane": lane, "budget": budget},
    )
    return [row["id"] for row in rows]


def look(ledger: Ledger, after: dict[str, int] | None = None) -> tuple[list[UUID], dict[str, int]]:
    """The runs that one look with room for four chooses, and from where to go on."""
    places = after or {}
    rows = ledger.database.all(
        SMALL, FROM_THE_START | {"queues": list(places), "afters": list(places.values())}
    )
    return (
        [row["id"] for row in rows if row["id"] is not None],
        {row["queue"]: row["stopped_at"] for row in rows if row["id"] is None},
    )


def owners(ledger: Ledger, runs: list[UUID]) -> Counter[int]:
    rows = ledger.database.all("SELECT connection_id FROM runs WHERE id = ANY (%(runs)s)", {"runs": runs})
    return Counter(row["connection_id"] for row in rows)


def carried_out(ledger: Ledger) -> None:
    """Workers took all that was sent."""
    ledger.database.run("DELETE FROM runs WHERE published_at IS NOT NULL")


def test_more_connections_than_there_is_room_for_are_served_in_a_circle(served: Ledger) -> None:
    few, many = waiting(served, 9, 2), waiting(served, 1, 100)
    total: Counter[int] = Counter()
    place: dict[str, int] = {}
    for _ in range(6):
        runs, place = look(served, place)
        total += owners(served, runs)
        carried_out(served)
    assert sum(total.values()) == 20
    assert {total[connection] for connection in few} == {2}
    assert total[many[0]] == 2


def test_connections_that_share_an_account_take_turns_within_its_turn(served: Ledger) -> None:
    sharing = waiting(served, 2, 10, budget="shared")
    (alone,) = waiting(served, 1, 10)
    runs, place = look(served)
    assert place == {}
    assert owners(served, runs) == {alone: 2, sharing[0]: 1, sharing[1]: 1}


def test_a_webhooks_run_goes_before_one_that_was_asked_for_by_hand(served: Ledger) -> None:
    (connection,) = waiting(served, 1, 10, queue=LIVE, lane=2)
    served.database.run(
        "UPDATE runs SET lane = 1, not_before = now() WHERE id IN (SELECT id FROM runs ORDER BY id DESC LIMIT 2)"
    )
    runs, _ = look(served)
    lanes = served.database.all("SELECT lane FROM runs WHERE id = ANY (%(r)s) ORDER BY lane", {"r": runs})
    assert [row["lane"] for row in lanes] == [1, 1, 2, 2]
    assert owners(served, runs) == {connection: 4}


def test_a_full_queue_keeps_no_other_waiting(served: Ledger) -> None:
    waiting(served, 1, 10)
    assert len(look(served)[0]) == ROOM
    waiting(served, 1, 10, queue=LIVE, lane=2)
    assert len(look(served)[0]) == ROOM
    assert look(served)[0] == []


def test_connections_with_nothing_to_wake_are_passed_by_a_few_at_a_time(served: Ledger) -> None:
    """Twenty-five are paused or wait for a limit, and the one behind them is found all the same."""
    asleep = waiting(served, 25, 1)
    served.database.run(
        "UPDATE connections SET paused_at = now() WHERE id = ANY (%(ids)s)", {"ids": asleep[:13]}
    )
    served.database.run("UPDATE runs SET not_before = now() + interval '1 h' WHERE id IS NOT NULL")
    (awake,) = waiting(served, 1, 1)
    place: dict[str, int] = {}
    found: list[UUID] = []
    looks = 0
    while not found:
        found, place = look(served, place)
        looks += 1
        assert looks <= 3
    assert owners(served, found) == {awake: 1}


def test_a_beat_that_starts_anew_forgets_nobody(served: Ledger) -> None:
    waiting(served, 30, 3)
    seen: set[UUID] = set()
    waking = Waking(Pacing())
    while waking.wake(served.database):
        rows = served.database.all("SELECT id FROM runs WHERE published_at IS NOT NULL")
        seen |= {row["id"] for row in rows}
        carried_out(served)
        waking = Waking(Pacing())
    assert len(seen) == 90


def pages(database_url: str, statement: str, params: dict[str, Any]) -> int:
    """How many pages a statement looks at. What it does is taken back."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET enable_seqscan = off")  # as a beat has it
        (found,) = connection.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, params)
        connection.rollback()
    plan = found[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


FROM_THE_START: dict[str, Any] = {"queues": [], "afters": [], "paced": [], "most": []}


def test_a_look_costs_what_it_wakes_and_not_what_waits(served: Ledger, database_url: str) -> None:
    waiting(served, 100, 10)
    of_a_thousand = pages(database_url, WAKEABLE, FROM_THE_START)
    waiting(served, 9_900, 10)
    of_many = pages(database_url, WAKEABLE, FROM_THE_START)
    assert of_many <= 1.5 * of_a_thousand
    from_the_middle = pages(
        database_url, WAKEABLE, {"queues": [QUEUE], "afters": [5000], "paced": [], "most": []}
    )
    assert from_the_middle <= 1.5 * of_a_thousand
    Waking(Pacing()).wake(served.database)
    assert pages(database_url, WAKEABLE, FROM_THE_START) <= 100  # there is no room


def test_a_look_at_what_waits_for_limits_is_bounded(served: Ledger, database_url: str) -> None:
    waiting(served, 10_000, 5)
    served.database.run("UPDATE runs SET not_before = now() + interval '1 h'")
    served.database.run("VACUUM runs")
    assert pages(database_url, WAKEABLE, FROM_THE_START) <= 50 * VISITS


def test_one_connection_with_everything_costs_no_more(served: Ledger, database_url: str) -> None:
    waiting(served, 1, 100)
    of_a_hundred = pages(database_url, WAKEABLE, FROM_THE_START)
    waiting(served, 1, 50_000)
    assert pages(database_url, WAKEABLE, FROM_THE_START) <= 4 * of_a_hundred


def test_a_run_of_a_small_connection_stands_near_the_front_of_a_long_queue(served: Ledger) -> None:
    waiting(served, 1, 500)
    (small,) = waiting(served, 1, 1)
    rows = served.database.all("SELECT id, connection_id FROM runs ORDER BY id")
    found = places(served.database, [row["id"] for row in rows])
    last_of_many = found[[row["id"] for row in rows if row["connection_id"] != small][-1]]
    its = found[next(row["id"] for row in rows if row["connection_id"] == small)]
    assert (its.earlier, its.waiting, its.connections, its.slots) == (0, 500, 1, 1)
    assert (last_of_many.earlier, last_of_many.waiting, last_of_many.connections) == (499, 500, 2)
    assert estimate(its).ahead < 3
    assert estimate(last_of_many).ahead >= 499


def refuse(ledger: Ledger, connection: int, count: int) -> None:
    """So many of a connection's runs met its limit, and stand in its line for a while."""
    ledger.database.run(
        "UPDATE runs SET wait_reason = 'limit', not_before = now() + interval '1 min'"
        " WHERE id IN (SELECT id FROM runs WHERE connection_id = %(c)s ORDER BY id LIMIT %(n)s)",
        {"c": connection, "n": count},
    )


def test_an_account_whose_runs_stand_in_line_for_its_limit_sends_no_more_of_them_there(
    served: Ledger,
) -> None:
    """Each would cost a claim and a giving back, beside which the runs of others take longer."""
    (limited,) = waiting(served, 1, 10)
    refuse(served, limited, 3)
    assert look(served)[0] == []
    (other,) = waiting(served, 1, 2)
    assert owners(served, look(served)[0]) == {other: 2}


def test_many_connections_of_an_account_that_waits_for_its_limit_keep_no_other_waiting(
    served: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand before it, and there are more of them than one look has room for."""
    sharing = waiting(served, 5 * LEAST_OUTSTANDING, 1, budget="shared")
    for connection in sharing[:LINE]:
        refuse(served, connection, 1)
    (other,) = waiting(served, 1, 1)
    sent: list[UUID] = []
    monkeypatch.setattr(
        "scheduler.beat.dispatch.waking.publish", lambda wakeups: sent.extend(run for run, _ in wakeups)
    )
    assert Waking(Pacing()).wake(served.database) == 1
    assert owners(served, sent) == {other: 1}


def test_the_line_is_filled_again_as_it_moves_on(served: Ledger) -> None:
    (limited,) = waiting(served, 1, 10)
    refuse(served, limited, 3)
    served.database.run(
        "UPDATE runs SET not_before = now() WHERE id IN (SELECT id FROM runs WHERE wait_reason = 'limit' LIMIT 1)"
    )
    runs, _ = look(served)
    row = served.database.one(
        "SELECT count(*) AS n FROM runs WHERE id = ANY (%(r)s) AND wait_reason = 'limit'", {"r": runs}
    )
    assert row == {"n": 1}  # whose time has come goes in any case
    assert 1 <= len(runs) <= 2


def test_what_somebody_waits_for_is_sent_past_the_line(served: Ledger) -> None:
    (limited,) = waiting(served, 1, 10)
    refuse(served, limited, 5)
    served.database.run(
        "UPDATE runs SET lane = 2, queue = %(q)s WHERE id = (SELECT id FROM runs WHERE wait_reason IS NULL LIMIT 1)",
        {"q": LIVE},
    )
    assert len(look(served)[0]) == 1
