"""A window that ends with a page without records: its cursor and the run's end are one statement, under one fence."""

from typing import Any

import pytest
from servers.rows.ledger import NEXT, Ledger, record

from worker.connectors.contract import Page
from worker.engine.loading.load import Loader
from worker.engine.planning.plan import Checkpoint
from worker.errors import LostLease
from worker.runs.cancel import cancel_run
from worker.runs.claim import Run
from worker.runs.finish import LastPage, finish_run
from worker.runs.states import State

pytestmark = pytest.mark.integration

LAST = LastPage(
    since="2026-11-01T00:00:00.000000Z",
    until="2026-11-02T00:00:00.000000Z",
    watermark="2026-11-01T12:00:00.000000Z",
)


def end(ledger: Ledger, run: Run, **more: Any) -> Any:
    return finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED, last=LAST, **more)


def cursor(ledger: Ledger, track: str = "live") -> Any:
    return ledger.database.one(
        "SELECT window_since AS since, window_until AS until, watermark, position, finished_at IS NOT NULL AS finished"
        " FROM cursors WHERE stream_id = %(s)s AND track = %(t)s",
        {"s": ledger.stream, "t": track},
    )


AS_LAST = {
    "since": LAST.since,
    "until": LAST.until,
    "watermark": LAST.watermark,
    "position": None,
    "finished": False,
}


def test_the_page_the_cursor_and_the_end_are_committed_together(ledger: Ledger) -> None:
    run = ledger.claimed()
    row, successor = end(ledger, run, fresh_at=run.claimed_at, steps=[{"name": "request", "ms": 1.5, "n": 1}])
    assert (row["pages"], row["records_read"], successor) == (1, 0, None)
    assert cursor(ledger) == AS_LAST
    assert ledger.open_run(run.id) is None
    ended = ledger.ended(run.id)
    assert ended is not None
    assert (ended["state"], ended["pages"], ended["steps"]) == (
        "succeeded",
        1,
        [{"name": "request", "ms": 1.5, "n": 1}],
    )
    stream = ledger.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": ledger.stream})
    assert stream is not None
    assert (stream["last_run_id"], stream["last_outcome"]) == (run.id, "succeeded")
    assert stream["last_success_at"] == run.claimed_at


def test_it_counts_on_top_of_the_pages_before(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("a"), record("b"))
    row, _ = end(ledger, run)
    assert (row["pages"], row["records_read"], row["records_created"]) == (2, 2, 2)
    assert cursor(ledger) == AS_LAST


def test_a_window_that_was_left_open_is_closed(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("a"))
    assert cursor(ledger)["position"] == NEXT.position
    end(ledger, run)
    assert cursor(ledger)["position"] is None


def test_a_worker_that_lost_its_run_ends_nothing_and_moves_nothing(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.load(run, record("a"))
    ledger.database.run("UPDATE runs SET claim_no = claim_no + 1 WHERE id = %(r)s", {"r": run.id})
    before = cursor(ledger)
    with pytest.raises(LostLease):
        end(ledger, run)
    assert cursor(ledger) == before
    assert ledger.open_run(run.id) is not None
    assert ledger.ended(run.id) is None


def test_a_run_that_is_to_be_cancelled_does_not_succeed(ledger: Ledger) -> None:
    run = ledger.claimed()
    cancel_run(ledger.database, run.id)
    with pytest.raises(LostLease):
        end(ledger, run)
    assert cursor(ledger) is None
    assert ledger.open_run(run.id) is not None


def test_ending_without_a_page_still_ends_a_run_that_is_to_be_cancelled(ledger: Ledger) -> None:
    run = ledger.claimed()
    cancel_run(ledger.database, run.id)
    finish_run(ledger.database, run.id, run.claim_no, State.CANCELLED)
    ended = ledger.ended(run.id)
    assert ended is not None
    assert (ended["state"], ended["pages"], cursor(ledger)) == ("cancelled", 0, None)


def test_a_history_that_ends_so_is_finished(ledger: Ledger) -> None:
    run = ledger.claimed(track="history")
    end(ledger, run, history_done=True)
    assert cursor(ledger, "history") == {**AS_LAST, "finished": True}


def test_failures_before_it_are_over_as_after_any_page(ledger: Ledger) -> None:
    run = ledger.claimed()
    ledger.database.run("UPDATE runs SET attempt = 3, cause = 'schedule' WHERE id = %(r)s", {"r": run.id})
    end(ledger, run)
    ended = ledger.ended(run.id)
    assert ended is not None
    assert (ended["attempt"], ended["uneventful"]) == (0, True)


def test_committed_with_the_end_or_before_it_a_page_leaves_the_same_behind(ledger: Ledger) -> None:
    together = ledger.claimed()
    end(ledger, together)
    one = {"cursor": cursor(ledger), "run": ledger.ended(together.id)}
    apart = ledger.claimed()
    after = Checkpoint(
        since=LAST.since, until=LAST.until, position=None, watermark=LAST.watermark, finished=False
    )
    Loader(ledger.database, apart, lease=30.0).load(Page([]), after, apart.now())
    finish_run(ledger.database, apart.id, apart.claim_no, State.SUCCEEDED)
    other = {"cursor": cursor(ledger), "run": ledger.ended(apart.id)}
    own = {"id", "request_id", "created_at", "started_at", "finished_at"}
    assert {k: v for k, v in one["run"].items() if k not in own} == {
        k: v for k, v in other["run"].items() if k not in own
    }
    assert one["cursor"] == other["cursor"]


def test_whoever_waits_behind_it_is_named(ledger: Ledger) -> None:
    run = ledger.claimed()
    waiting = ledger.request()
    _, successor = end(ledger, run)
    assert successor == (waiting.id, waiting.queue)
