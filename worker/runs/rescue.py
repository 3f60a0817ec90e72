"""Which runs has a dead worker left behind, and what becomes of them?

Promises: a run whose lease lapsed goes back to the queue, or ends as failed when its attempts are spent. A lapse counts
as a failed attempt, or a run that kills its worker would never end. Does not promise that the old worker is dead: one
that was stopped may wake, and its fence refuses it. Its connection to Postgres is ended first, since a client stopped
in the middle of a COPY holds its transaction past every time-out. Emits: run_rescued, run_exhausted, backend_ended.
"""

from dataclasses import dataclass

import psycopg
import structlog
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import LostLease
from worker.runs.finish import Failure, finish_run_in, give_back_in
from worker.runs.publish import Wakeup
from worker.runs.states import State

log = structlog.get_logger()

BATCH = 200


@dataclass(frozen=True, slots=True)
class Rescued:
    """How many runs were saved or given up, and who should be woken."""

    saved: int = 0
    exhausted: int = 0
    wakeups: tuple[Wakeup, ...] = ()


def rescue_lapsed(database: Database, *, max_attempts: int) -> Rescued:
    """Return lapsed runs to the queue. Any number of beats may do this at once: the fence lets one of them."""
    saved = exhausted = 0
    wakeups: list[Wakeup] = []
    for row in database.all(sql.lapsed_runs, {"batch": BATCH}):
        _end_backend(database, row)
        spent = row["attempt"] + 1 >= max_attempts
        try:
            with database.transaction() as connection:
                if not _still_lapsed(connection, row):
                    continue
                wakeup = _give_up(connection, row, max_attempts) if spent else _requeue(connection, row)
        except LostLease:
            continue  # another beat was faster
        exhausted, saved = (exhausted + 1, saved) if spent else (exhausted, saved + 1)
        if wakeup:
            wakeups.append(wakeup)
    return Rescued(saved, exhausted, tuple(wakeups))


def _end_backend(database: Database, row: DictRow) -> None:
    if row["backend_pid"] is None:
        return
    if database.all(sql.end_backend, {"run": row["id"], "claim": row["claim_no"]}):
        log.warning("backend_ended", run_id=str(row["id"]), backend=row["backend_pid"], worker=row["worker"])


def _still_lapsed(connection: psycopg.Connection[DictRow], row: DictRow) -> bool:
    found = connection.execute(sql.still_lapsed, {"run": row["id"], "claim": row["claim_no"]})
    return found.fetchone() is not None


def _requeue(connection: psycopg.Connection[DictRow], row: DictRow) -> Wakeup:
    log.warning("run_rescued", run_id=str(row["id"]), worker=row["worker"], attempt=row["attempt"] + 1)
    words = f"Worker {row['worker']} fell silent and lost its lease."
    return give_back_in(
        connection,
        row["id"],
        row["claim_no"],
        wait=0.0,
        reason="rescue",
        spent=True,
        failure=Failure("worker_lost", words),
        steps=row["steps"],
    )


def _give_up(connection: psycopg.Connection[DictRow], row: DictRow, max_attempts: int) -> Wakeup | None:
    log.error("run_exhausted", run_id=str(row["id"]), worker=row["worker"], attempts=max_attempts)
    words = f"{max_attempts} workers in a row fell silent while they worked on this; the last was {row['worker']}."
    failure = Failure("worker_lost", words)
    _, successor = finish_run_in(
        connection, row["id"], row["claim_no"], State.FAILED, failure=failure, steps=row["steps"]
    )
    return successor
