"""No event is lost and none is done twice: runs that die, runs that are stale, runs that nobody asked for."""

import threading
from typing import Any
from uuid import UUID

import pytest
from servers.rows.events import Events
from servers.systems.mill import Works
from servers.systems.scripted import Asked, Said

from scheduler.access.audit import COMMAND_LINE
from scheduler.beat.hearing import remember_events
from scheduler.runs.acts import cancel
from worker.db.database import Database
from worker.engine import perform
from worker.engine.events import ledger
from worker.engine.perform import carry_on, carry_out
from worker.engine.tracks import events as track
from worker.runs.claim import claim_run
from worker.runs.states import Lane

pytestmark = pytest.mark.integration


def asked_for(works: Works) -> list[dict[str, Any]]:
    return works.services.database.all("SELECT * FROM runs WHERE track = 'events' AND state = 'queued'")


def request(works: Works, stream: int) -> Any:
    return works.request(stream, "events", lane=Lane.WEBHOOK, cause="webhook")


def test_an_event_that_came_while_its_run_ended_is_taken_by_it(
    works: Works, stream: int, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = []

    def finish(*given: Any, **more: Any) -> Any:
        if not late:
            late.append(events.tell("r0004"))
        return ledger.finish_if_none_left(*given, **more)

    monkeypatch.setattr(track, "finish_if_none_left", finish)
    events.tell("r0003")
    run = request(works, stream)
    carry_out(works.services, run)
    assert works.outcome(run)["state"] == "succeeded"
    assert events.row(late[0])["state"] == "done"


def test_beat_remembers_an_event_that_no_run_will_look_at(works: Works, stream: int, events: Events) -> None:
    remember_events(works.services)
    assert asked_for(works) == []
    events.tell("r0003")
    remember_events(works.services)
    remember_events(works.services)
    (run,) = asked_for(works)
    assert (run["lane"], run["cause"], run["queue"]) == (1, "webhook", "sync.mill.live")
    works.carry_out_ready()
    assert events.states() == [("r0003", "done", "unchanged")]
    remember_events(works.services)
    assert asked_for(works) == []


def test_beat_asks_for_nothing_that_may_not_be_done_now(works: Works, stream: int, events: Events) -> None:
    database = works.services.database
    events.tell("r0003")
    for off, on in (
        ("UPDATE connections SET paused_at = now()", "UPDATE connections SET paused_at = NULL"),
        ("UPDATE streams SET enabled = false", "UPDATE streams SET enabled = true"),
        (
            "UPDATE events SET not_before = now() + interval '1 minute'",
            "UPDATE events SET not_before = now()",
        ),
    ):
        database.run(off)
        remember_events(works.services)
        assert asked_for(works) == [], off
        database.run(on)
    remember_events(works.services)
    assert len(asked_for(works)) == 1


def test_beat_finds_forgotten_events_by_their_index(works: Works, stream: int, events: Events) -> None:
    database = works.services.database
    database.run(
        "INSERT INTO events (connection_id, stream_id, kind, key, event_key, request_id, state)"
        " SELECT 1, %(s)s, 'record', n::text, n::text, 'r', 'done' FROM generate_series(1, 20000) n",
        {"s": stream},
    )
    database.run("ANALYZE events")
    events.tell("r0003")
    plan = "\n".join(
        row["QUERY PLAN"]
        for row in database.all("EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) " + ledger.sql.forgotten_events, {"batch": 10})
    )  # fmt: skip
    assert "Seq Scan on events" not in plan, plan


def test_a_worker_that_is_stale_marks_nothing_and_writes_nothing(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="new")
    event = events.tell("r0003")
    run = request(works, stream)
    stale = claim_run(works.services.database, run, worker="stale:1", lease=30.0)
    assert stale is not None
    works.services.database.run(
        "UPDATE runs SET claim_no = claim_no + 1, lease_until = now() + interval '1 minute'"
    )
    carry_on(works.services, stale)
    row = events.row(event)
    assert (row["state"], row["run_id"]) == ("pending", None)
    assert "note" not in works.copy(stream)["r0003"]


def test_a_run_that_dies_between_two_commits_repeats_only_what_was_not_committed(
    works: Works, stream: int, events: Events
) -> None:
    for number in range(3):
        works.mill.put(f"r000{number}", works.now(), note="new")
        events.tell(f"r000{number}")
    asked: list[str] = []

    def dies_at_the_second(said: Asked) -> Said:
        asked.append(said.path)
        if len(asked) == 2:
            # As if the process had been killed here: somebody else has the run by the time of the answer.
            works.services.database.run("UPDATE runs SET claim_no = claim_no + 1 WHERE track = 'events'")
        return works.mill(said)

    works.serve(dies_at_the_second)
    object.__setattr__(works.services.ahead, "side_by_side", 1)
    run = request(works, stream)
    carry_out(works.services, run)
    before = [state for _, state, _ in events.states()]
    works.serve(works.mill)
    works.mill.paths.clear()
    works.services.database.run("UPDATE runs SET state = 'queued', lease_until = NULL WHERE track = 'events'")
    carry_out(works.services, run)
    assert {state for _, state, _ in events.states()} == {"done"}
    assert len(works.mill.paths) == before.count("pending")
    assert works.copy(stream) == works.mill.records


def test_an_event_that_ends_its_process_each_time_is_found_out_alone(
    works: Works, stream: int, events: Events
) -> None:
    both = {events.tell("r0003"), events.tell("r0004")}
    run = request(works, stream)
    database = works.services.database
    poison = min(both, key=lambda event: event.bytes)
    (other,) = both - {poison}
    database.run("UPDATE runs SET alone = true, rescues = 2")
    for _ in range(5):
        claimed = claim_run(database, run, worker="dies:1", lease=30.0)
        assert claimed is not None
        (first,) = ledger.pending(database, claimed)
        assert first.id == poison
        database.run(ledger.sql.try_event_alone, {"id": poison, "run": run})  # and here it was killed
        database.run("UPDATE runs SET state = 'queued', lease_until = NULL")
    claimed = claim_run(database, run, worker="here:1", lease=30.0)
    assert claimed is not None
    carry_on(works.services, claimed)
    assert (events.row(poison)["state"], events.row(other)["state"]) == ("failed", "done")
    assert events.row(poison)["error"] == "The process that worked on it ended each time."


def test_two_requests_and_a_burst_at_once_leave_nothing_behind(
    works: Works, stream: int, events: Events, database_url: str
) -> None:
    """Webhooks that ask for their run as they come, while runs come and go."""
    told = threading.Event()

    def tell() -> None:
        database = Database(database_url, name="sender", pool=1)
        mine = Events(database, stream)
        for number in range(60):
            mine.tell(f"r{number % 30:04}")
            request(works, stream)
        told.set()
        database.close()

    senders = [threading.Thread(target=tell) for _ in range(2)]
    for sender in senders:
        sender.start()
    while any(sender.is_alive() for sender in senders):
        works.carry_out_ready()
    works.carry_out_ready()
    assert {state for _, state, _ in events.states()} == {"done"}
    assert len(events.states()) == 120


@pytest.mark.parametrize("seen", [0, 1])
def test_an_event_that_comes_right_after_the_look_at_the_claim_is_taken_by_the_same_run(
    works: Works, stream: int, events: Events, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    """Its webhook found the run queued and asked for no other, since the claim was not committed yet."""
    told = [events.tell(f"r000{number}") for number in range(seen)]

    def claim(*given: Any, **more: Any) -> Any:
        claimed = claim_run(*given, **more)
        assert claimed is not None
        assert claimed.seen is not None
        assert len(claimed.seen) == seen
        told.append(events.tell("r0004"))
        return claimed

    monkeypatch.setattr(perform, "claim_run", claim)
    run = request(works, stream)
    carry_out(works.services, run, urgent=True)
    assert works.outcome(run)["state"] == "succeeded"
    assert {events.row(event)["state"] for event in told} == {"done"}
    assert asked_for(works) == []


def test_what_was_seen_at_the_claim_of_a_run_that_is_cancelled_or_lost_is_not_done_by_it(
    works: Works, stream: int, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = works.services.database

    def lost(
        run: UUID,
    ) -> None:  # as by a crash of Postgres that took the claim back, and another claim after it
        database.run(
            "UPDATE runs SET state = 'queued', claim_no = 0, lease_until = NULL WHERE track = 'events'"
        )
        assert claim_run(database, run, worker="other:1", lease=30.0)

    def cancelled(run: UUID) -> None:
        assert cancel(database, run, COMMAND_LINE) == "cancelling"

    def carried_out(after_claim: Any) -> list[tuple[Any, ...]]:
        def claim(*given: Any, **more: Any) -> Any:
            claimed = claim_run(*given, **more)
            after_claim(given[1])
            return claimed

        with monkeypatch.context() as patch:
            patch.setattr(perform, "claim_run", claim)
            carry_out(works.services, request(works, stream), urgent=True)
        return events.states()

    events.tell("r0003")
    assert carried_out(cancelled) == [("r0003", "failed", "cancelled")]
    events.tell("r0004")
    assert carried_out(lost)[1:] == [("r0004", "pending", None)]
