"""What a run keeps and what it sheds when it changes hands, and what its stream learns when it ends."""

from typing import Any

import psycopg
import pytest
from servers.rows.ledger import LEASE, Ledger, record
from structlog.testing import capture_logs

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.streams import dispatch_due
from worker.connectors.contract import Page, StreamTraits
from worker.db.queries import sql
from worker.engine.history import begin
from worker.engine.loading.load import Loader
from worker.engine.planning.plan import Checkpoint, plan_run
from worker.errors import Draining, LostLease
from worker.runs.finish import Failure, finish_run, give_back
from worker.runs.leases import Leases
from worker.runs.rescue import rescue_lapsed
from worker.runs.states import Lane, State

pytestmark = pytest.mark.integration


def stream(ledger: Ledger) -> dict[str, Any]:
    row = ledger.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": ledger.stream})
    assert row is not None
    return dict(row)


def test_a_run_that_was_given_back_is_nobodys_until_it_is_claimed_again(ledger: Ledger) -> None:
    run = ledger.claimed()
    give_back(ledger.database, run.id, run.claim_no, wait=0, reason="drain", spent=False)
    for late in (
        lambda: ledger.load(run, record("1")),
        lambda: ledger.load(run),
        lambda: finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED),
        lambda: give_back(ledger.database, run.id, run.claim_no, wait=0, reason="drain", spent=False),
    ):
        with pytest.raises(LostLease):
            late()
    leases = Leases(ledger.database, lease=LEASE)
    with leases.holding(run.id, run.claim_no) as held:
        leases.renew()
        assert held.lost
    leases.close()
    assert ledger.rows() == {}


def test_whoever_claimed_last_is_the_only_one_who_ends_or_returns_the_run(ledger: Ledger) -> None:
    stale = ledger.claimed()
    give_back(ledger.database, stale.id, stale.claim_no, wait=0, reason="drain", spent=False)
    assert ledger.claim(stale.id) is not None
    with pytest.raises(LostLease):
        finish_run(ledger.database, stale.id, stale.claim_no, State.SUCCEEDED)
    with pytest.raises(LostLease):
        give_back(ledger.database, stale.id, stale.claim_no, wait=0, reason="drain", spent=False)
    ledger.request()  # a successor waits, so a return would merge
    with pytest.raises(LostLease):
        give_back(ledger.database, stale.id, stale.claim_no, wait=0, reason="drain", spent=False)


def test_a_run_that_was_taken_between_return_and_merge_is_left_alone(ledger: Ledger) -> None:
    stale = ledger.claimed()
    give_back(ledger.database, stale.id, stale.claim_no, wait=0, reason="drain", spent=False)
    assert ledger.claim(stale.id) is not None
    ledger.request()
    merge = {
        "run": stale.id,
        "claim": stale.claim_no,
        "wait": 0.0,
        "reason": "drain",
        "spent": 0,
        "error_code": None,
        "error": None,
        "steps": None,
    }
    assert ledger.database.all(sql.merge_run, merge) == []
    assert ledger.open_run(stale.id) is not None


def test_a_new_claim_knows_nothing_of_the_last_ones_connection(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1"))
    give_back(ledger.database, run.id, run.claim_no, wait=0, reason="drain", spent=False)
    assert ledger.open_run(run.id)["backend_pid"] is None
    ledger.database.run("UPDATE runs SET backend_pid = 7")
    assert ledger.claim(run.id) is not None
    row = ledger.open_run(run.id)
    assert (row["backend_pid"], row["wait_reason"]) == (None, None)


@pytest.mark.parametrize("keys", [["1"], []])
def test_a_page_renews_the_lease_and_moves_all_of_the_cursor(ledger: Ledger, keys: list[str]) -> None:
    run = ledger.claimed(lease=1)
    for n in (1, 2):
        moved = Checkpoint(
            since=f"s{n}", until=f"u{n}", position={"page": n}, watermark=f"w{n}", finished=n == 2
        )
        page = Page([record(f"{key}-{n}") for key in keys], total=40 if n == 1 else None)
        Loader(ledger.database, run, lease=LEASE).load(page, moved, run.now())
    cursor = ledger.database.one("SELECT * FROM cursors")
    assert cursor is not None
    stored = (cursor["window_since"], cursor["window_until"], cursor["position"], cursor["watermark"])
    assert stored == ("s2", "u2", {"page": 2}, "w2")
    assert cursor["finished_at"] is not None
    row = ledger.database.one(
        "SELECT pages, records_total, lease_until > now() + interval '20 s' AS renewed FROM runs"
    )
    assert row == {"pages": 2, "records_total": 40, "renewed": True}


def test_what_was_refused_and_set_aside_is_counted_on_the_run(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("1", '{"a":2}', version=2), record("2", '{"a":1}'))
    ledger.load(run, record("1", '{"a":1}', version=1), record("2", '{"a":2}'))
    ledger.load(run, record("2", '{"a":2}', deleted=True))
    row = ledger.open_run(run.id)
    counts = {kind: row[f"records_{kind}"] for kind in ("created", "updated", "deleted", "refused", "read")}
    assert counts == {"created": 2, "updated": 1, "deleted": 1, "refused": 1, "read": 5}


def test_a_merged_run_hands_its_wait_and_its_failures_to_its_successor(ledger: Ledger) -> None:
    run = ledger.claimed()
    successor = ledger.request(Lane.SCHEDULED)
    other_work = ledger.request(scope={"ids": ["1"]})
    give_back(ledger.database, run.id, run.claim_no, wait=60, reason="limit", spent=True)
    row = ledger.database.one(
        "SELECT not_before > now() + interval '50 s' AS waits, wait_reason, attempt, queue, published_at FROM runs"
        " WHERE id = %(id)s",
        {"id": successor.id},
    )
    assert row == {
        "waits": True,
        "wait_reason": "limit",
        "attempt": 1,
        "queue": "sync.demo.live",
        "published_at": None,
    }
    assert ledger.open_run(other_work.id)["attempt"] == 0


def test_a_successor_that_waits_longer_keeps_its_wait(ledger: Ledger) -> None:
    run = ledger.claimed()
    successor = ledger.request()
    ledger.database.run(
        "UPDATE runs SET not_before = now() + interval '1 h', attempt = 3 WHERE id = %(id)s",
        {"id": successor.id},
    )
    give_back(ledger.database, run.id, run.claim_no, wait=0, reason="drain", spent=False)
    row = ledger.database.one("SELECT not_before > now() + interval '50 min' AS waits, attempt FROM runs")
    assert row == {"waits": True, "attempt": 3}


def test_only_work_on_the_same_track_is_woken(ledger: Ledger) -> None:
    ledger.request(track="history")
    ledger.request(stream=ledger.other)
    run = ledger.claimed()
    waits = ledger.request()
    ledger.database.run(
        "UPDATE runs SET not_before = now() + interval '1 h' WHERE id = %(id)s", {"id": waits.id}
    )
    _, woken = finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
    assert woken is None


@pytest.mark.parametrize(
    ("cause", "loads", "attempt", "outcome", "uneventful"),
    [
        ("schedule", False, 0, State.SUCCEEDED, True),
        ("schedule", True, 0, State.SUCCEEDED, False),
        ("schedule", False, 1, State.SUCCEEDED, False),
        ("schedule", False, 0, State.FAILED, False),
        ("cli", False, 0, State.SUCCEEDED, False),
    ],
)
def test_only_a_scheduled_run_with_nothing_new_and_nothing_wrong_is_uneventful(
    ledger: Ledger, cause: str, loads: bool, attempt: int, outcome: State, uneventful: bool
) -> None:
    run = ledger.claimed()
    ledger.database.run("UPDATE runs SET cause = %(c)s, attempt = %(a)s", {"c": cause, "a": attempt})
    if loads:
        ledger.load(run, record("1"))
    finish_run(ledger.database, run.id, run.claim_no, outcome)
    assert ledger.ended(run.id)["uneventful"] is uneventful


def test_a_history_does_not_say_that_the_copy_is_fresh(ledger: Ledger) -> None:
    run = ledger.claimed(track="history")
    finish_run(
        ledger.database, run.id, run.claim_no, State.SUCCEEDED, fresh_at=run.claimed_at, history_done=True
    )
    assert (stream(ledger)["last_success_at"], stream(ledger)["history_done_at"] is not None) == (None, True)


def test_a_run_that_failed_does_not_say_so_either(ledger: Ledger) -> None:
    run = ledger.claimed()
    finish_run(
        ledger.database, run.id, run.claim_no, State.FAILED, failure=Failure("x", "No."), fresh_at=run.now()
    )
    assert (stream(ledger)["last_success_at"], stream(ledger)["failures"]) == (None, 1)


def test_a_success_ends_the_row_of_failures_and_a_cancelled_run_does_not(ledger: Ledger) -> None:
    for outcome, failures in ((State.CANCELLED, 4), (State.SUCCEEDED, 0)):
        ledger.database.run("UPDATE streams SET failures = 4")
        run = ledger.claimed()
        finish_run(ledger.database, run.id, run.claim_no, outcome)
        assert stream(ledger)["failures"] == failures


def test_a_failure_never_brings_a_stream_forward(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET next_run_at = now() + interval '1 day'")
    run = ledger.claimed()
    finish_run(ledger.database, run.id, run.claim_no, State.FAILED, failure=Failure("x", "No."))
    row = ledger.database.one("SELECT min(next_run_at) > now() + interval '23 h' AS kept FROM streams")
    assert row == {"kept": True}
    ledger.database.run("UPDATE streams SET next_run_at = NULL")
    run = ledger.claimed()
    finish_run(ledger.database, run.id, run.claim_no, State.FAILED, failure=Failure("x", "No."))
    assert stream(ledger)["next_run_at"] is None


def test_a_scheduled_request_leaves_a_retry_its_pause(ledger: Ledger) -> None:
    run = ledger.claimed()
    give_back(ledger.database, run.id, run.claim_no, wait=60, reason="retry", spent=True)
    assert not ledger.request(Lane.SCHEDULED).ready


def test_the_rescuer_leaves_a_worker_alone_that_came_back_meanwhile(
    ledger: Ledger, database_url: str
) -> None:
    run = ledger.claimed()
    asked = {"run": run.id, "claim": run.claim_no}
    assert ledger.database.all(sql.still_lapsed, asked) == []
    with psycopg.connect(database_url, application_name="headrace worker", autocommit=True) as worker:
        worker.execute("UPDATE runs SET backend_pid = pg_backend_pid()")
        assert ledger.database.all(sql.end_backend, asked) == []
        assert worker.execute("SELECT 1").fetchone() == (1,)


def test_a_run_without_progress_for_too_long_is_not_renewed(ledger: Ledger) -> None:
    leases = Leases(ledger.database, lease=3600, stall=-1.0)
    run = ledger.claimed()
    with leases.holding(run.id, run.claim_no) as held:
        leases.renew()
        assert ledger.database.one("SELECT lease_until < now() + interval '1 minute' AS old FROM runs") == {
            "old": True
        }
        ledger.lapse(run.id)
        rescue_lapsed(ledger.database, max_attempts=5)
        with pytest.raises(LostLease):
            ledger.load(run)
        assert not held.lost
    leases.close()


def test_a_run_that_has_just_ended_is_not_called_lost_and_one_that_is_held_on_to_is(ledger: Ledger) -> None:
    leases = Leases(ledger.database, lease=LEASE)
    run = ledger.claimed()
    with leases.holding(run.id, run.claim_no), capture_logs() as said:
        finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
        leases.renew()
        assert said == []
        leases.renew()
        assert [line["event"] for line in said] == ["lease_lost"]
    leases.close()


def test_a_claim_brings_the_cursor_of_its_own_track(ledger: Ledger) -> None:
    for track in ("live", "history"):
        ledger.database.run(
            "INSERT INTO cursors (stream_id, track, watermark) VALUES (%(s)s, %(t)s, to_jsonb(%(t)s::text))",
            {"s": ledger.stream, "t": track},
        )
    assert ledger.claimed(track="history").cursor.watermark == "history"
    assert ledger.claimed().cursor.watermark == "live"
    assert ledger.claimed(track="records").cursor.watermark is None


def test_a_worker_that_shuts_down_stops_its_runs_at_their_next_page(ledger: Ledger) -> None:
    leases = Leases(ledger.database, lease=LEASE)
    run = ledger.claimed()
    with leases.holding(run.id, run.claim_no) as held:
        held.check()
        leases.drain()
        with pytest.raises(Draining):
            held.check()
    leases.close()


def test_the_live_cursor_and_the_history_stand_before_anything_is_read(ledger: Ledger) -> None:
    traits = StreamTraits(incremental=True, ordered=True, timestamps=True, overlap=60.0, lag=5.0)
    run = ledger.claimed()
    plan = plan_run(run, traits, run.now())
    for _ in range(2):
        begin(ledger.database, run, traits, plan)
    cursors = ledger.database.all("SELECT track, watermark, window_until FROM cursors ORDER BY track")
    assert [(row["track"], row["watermark"] is not None) for row in cursors] == [
        ("history", False),
        ("live", True),
    ]
    assert cursors[0]["window_until"] >= cursors[1]["watermark"]
    assert ledger.database.one("SELECT count(*) AS n FROM runs WHERE track = 'history'") == {"n": 1}


def test_a_schedule_changes_nothing_on_a_run_that_waits(ledger: Ledger) -> None:
    run = ledger.request(Lane.ON_DEMAND)
    before = ledger.open_run(run.id)
    ledger.database.run("UPDATE streams SET next_run_at = now() WHERE id = %(s)s", {"s": ledger.stream})
    assert dispatch_due(ledger.database, Pacing()) == 1
    assert ledger.open_run(run.id) == before
    assert ledger.database.one("SELECT count(*) AS n FROM runs") == {"n": 1}


def test_a_stale_worker_drops_nobodys_position(ledger: Ledger) -> None:
    stale = ledger.claimed()
    ledger.load(stale)
    give_back(ledger.database, stale.id, stale.claim_no, wait=0, reason="drain", spent=False)
    now = ledger.claim(stale.id)
    assert now is not None
    kept = []
    for claim in (stale.claim_no, now.claim_no):
        ledger.database.run(sql.drop_position, {"run": stale.id, "claim": claim, "slice": ""})
        row = ledger.database.one("SELECT position IS NOT NULL AS kept FROM cursors")
        assert row is not None
        kept.append(row["kept"])
    assert kept == [True, False]
