"""How does a run end, or wait? What it has done, or met, is committed as its outcome, and whoever waits behind it is woken.

Emits: run_finished, run_waits.
"""

import random
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog
from psycopg.rows import DictRow

from worker.db.queries import sql
from worker.engine.ending.settle import End, GiveBack, settle
from worker.engine.job import Job
from worker.engine.planning.plan import LOST_PLACE
from worker.engine.port import Engine
from worker.errors import HeadraceError, LostLease
from worker.runs.finish import Failure, LastPage, finish_run, give_back
from worker.runs.states import State
from worker.runs.wakeups.publish import Wakeup, send_for

log = structlog.get_logger()

STUCK_POSITION = LOST_PLACE | {"paging_stuck"}
"""After these a window is read from its beginning, or it would fail at the same place for ever."""

NEVER_RESTS = "pages_shift"
"""Reading moves on each time, and ends nowhere: met twice in a row, the run is over, or it would go on for ever."""


def complete(
    engine: Engine,
    job: Job,
    outcome: State | None = None,
    *,
    words: Failure | None = None,
    fresh_at: datetime | None = None,
    history_done: bool = False,
    last: LastPage | None = None,
    load_last: Callable[[], None] | None = None,
) -> None:
    """End a run that came to its end. Without an outcome it succeeded, or in part where records were set aside.

    `words` say what a person should know of an outcome that isn't plain success. `last` is a page without records that is
    committed with the end; `load_last` loads it alone where that is refused, and so says whether the run is lost or
    somebody wants it cancelled.
    """
    run = job.run
    if outcome is None:
        outcome = State.PARTIAL if job.rejected else State.SUCCEEDED
    ended = partial(
        finish_run,
        engine.database,
        run.id,
        run.claim_no,
        outcome,
        failure=words,
        fresh_at=fresh_at,
        history_done=history_done,
        steps=job.steps.as_json(),
    )
    try:
        row, successor = ended(last=last)
    except LostLease:
        if last is None or load_last is None:
            raise
        load_last()
        row, successor = ended()
    say_finished(job, outcome, words, row)
    wake(engine, successor)


def wake(engine: Engine, successor: Wakeup | None) -> None:
    """Send for the run that waited behind one that has ended."""
    if successor:
        send_for(engine.database, [successor])


def say_finished(job: Job, outcome: State, words: Failure | None, row: DictRow) -> None:
    """One line for a run that found nothing to do, and that says all the same where it worked and how long."""
    said = {} if words is None else {"error_code": words.code, "error": words.words}
    log.info(
        "run_finished",
        outcome=str(outcome),
        track=job.run.track,
        claim=job.run.claim_no,
        seconds=round((job.run.now() - job.run.claimed_at).total_seconds(), 3),
        read=row["records_read"],
        created=row["records_created"],
        updated=row["records_updated"],
        deleted=row["records_deleted"],
        refused=row["records_refused"],
        rejected=row["records_rejected"],
        pages=row["pages"],
        **said,
    )


def settle_run(engine: Engine, job: Job, error: HeadraceError) -> None:
    """Commit what an error means for the run."""
    run = job.run
    decision = settle(
        error,
        attempt=_failures_before(engine, job, error),
        max_attempts=engine.settings.max_attempts,
        now=run.now(),
        dice=random.random(),  # noqa: S311 - spreads retries, guards nothing
        owes=run.track == "events",
    )
    if isinstance(decision, GiveBack):
        log.info(
            "run_waits",
            reason=decision.reason,
            wait=round(decision.wait, 1),
            error_code=error.code,
            error=str(error),
        )
        _wait(engine, job, decision)
    else:
        _end(engine, job, decision)


def _failures_before(engine: Engine, job: Job, error: HeadraceError) -> int:
    """As the ledger has it: a committed page ends a row of failures. But not where that very failure commits pages."""
    if error.code == NEVER_RESTS and job.run.attempt:
        return engine.settings.max_attempts
    return 0 if job.pages else job.run.attempt


def _wait(engine: Engine, job: Job, decision: GiveBack) -> None:
    wakeup = give_back(
        engine.database,
        job.run.id,
        job.run.claim_no,
        wait=decision.wait,
        reason=decision.reason,
        spent=decision.spent,
        failure=decision.failure,
        steps=job.steps.as_json(),
    )
    if decision.wait == 0:
        send_for(engine.database, [wakeup])


def _end(engine: Engine, job: Job, decision: End) -> None:
    run, failure = job.run, decision.failure
    if decision.outcome is State.FAILED and (run.track == "live" or failure.code in STUCK_POSITION):
        # The next run reads its window from the beginning, rather than fail at the same place for ever.
        place = {"run": run.id, "claim": run.claim_no, "slice": run.cursor.slice}
        engine.database.run(sql.drop_position, place)
    _, successor = finish_run(
        engine.database,
        run.id,
        run.claim_no,
        decision.outcome,
        failure=failure,
        steps=job.steps.as_json(),
    )
    level = log.info if decision.outcome is State.CANCELLED else log.error
    level("run_finished", outcome=str(decision.outcome), error_code=failure.code, error=failure.words)
    wake(engine, successor)
