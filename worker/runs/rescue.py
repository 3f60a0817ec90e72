"""Which runs has a dead worker left behind, and what becomes of them?

Promises: a run whose lease lapsed goes back to the queue. A process holds many runs and one of them may have ended it, so
a lapse says little about each and spends nothing. A run that was rescued twice goes alone in a process from then on
(`runs.alone`, carried out by `worker.supervision.alone`): who ends that process is known, each time counts as a failed attempt, and
when the attempts are spent the run ends as failed. So no run ends workers for ever, and none is condemned for another.
Does not promise that the old worker is dead: one that was stopped may wake, and its fence refuses it. Its connection to
Postgres is ended first, since a client stopped in the middle of a COPY holds its transaction past every time-out.
Emits: run_rescued, run_exhausted, backend_ended.
"""

from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import LostLease
from worker.runs.finish import Failure, finish_run_in, give_back_in
from worker.runs.states import State
from worker.runs.wakeups.publish import Wakeup

log = structlog.get_logger()

BATCH = 200
LONGEST_PAUSE = 60.0
PROCESS_ENDED = "process_ended"


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
        spent = row["alone"] and row["attempt"] + 1 >= max_attempts
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
    alone = row["alone"]
    log.warning(
        "run_rescued",
        run_id=str(row["id"]),
        worker=row["worker"],
        rescues=row["rescues"] + 1,
        alone=alone,
        attempt=row["attempt"] + alone,
    )
    return give_back_in(
        connection,
        row["id"],
        row["claim_no"],
        wait=min(LONGEST_PAUSE, 2.0 ** row["attempt"]) if alone else 0.0,
        reason="rescue",
        spent=alone,
        failure=Failure("worker_lost", _words(row)),
        steps=row["steps"],
    )


def _words(row: DictRow) -> str:
    if row["alone"]:
        return f"It was alone in a process, and {_how(row)}."
    words = f"Worker {row['worker']} fell silent and lost its lease."
    return f"{words} It is the second time: the run goes on alone in a process." if row["rescues"] else words


def _how(row: DictRow) -> str:
    """How the process ended that had the run to itself, where its parent saw it."""
    return row["error"] if row["error_code"] == PROCESS_ENDED else f"worker {row['worker']} fell silent"


def _give_up(connection: psycopg.Connection[DictRow], row: DictRow, max_attempts: int) -> Wakeup | None:
    log.error("run_exhausted", run_id=str(row["id"]), worker=row["worker"], attempts=max_attempts)
    words = (
        f"It ends the process that works on it: {max_attempts} times in a row it was alone in one, "
        f"and the last time {_how(row)}. The log of that time says more; the other runs went on."
    )
    _, successor = finish_run_in(
        connection,
        row["id"],
        row["claim_no"],
        State.FAILED,
        failure=Failure("ends_its_worker", words),
        steps=row["steps"],
    )
    return successor


def end_lease(database: Database, run_id: UUID, claim_no: int, words: str) -> bool:
    """The process of a run that was alone has ended as `words` say: let the next sweep rescue it. False: it was over."""
    return database.run(sql.end_lease, {"run": run_id, "claim": claim_no, "words": words}) > 0
