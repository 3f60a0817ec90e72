"""How is a run carried out? Claim it, do what its track asks for, and let go of it.

What a track does is in `tracks`; there `planning` decides, `fetching` reads and `loading` commits. `ending` says what
becomes of the run, also when it meets an error. Emits: run_lost, run_crashed.
"""

import time
from uuid import UUID

import structlog

from worker.engine.admission.opening import keep_to_windows
from worker.engine.deletes.refit import refit_records
from worker.engine.ending.commit import settle_run
from worker.engine.events.ledger import LOOK
from worker.engine.job import Job
from worker.engine.keep.extras import extras_of
from worker.engine.keep.privacy import worded
from worker.engine.keep.screens import screens_of
from worker.engine.port import Engine
from worker.engine.tracks import TRACKS
from worker.errors import HeadraceError, LostLease, Transient
from worker.runs.claim import Run, claim_run
from worker.telemetry.logs import bind_run
from worker.telemetry.steps import Steps

log = structlog.get_logger()


def carry_out(engine: Engine, run_id: UUID, *, urgent: bool = False) -> Run | None:
    """Do what a wake-up call asks for. Delivered twice, it works once: only one delivery can claim the row.

    A run that must not share a process with others is claimed and handed back, for the caller to give it one. `urgent`: it is
    likely one of events, and what waits for it is looked at in the trip that claims it.
    """
    if engine.leases.draining:
        return None  # the row stays queued, and its message will be sent again
    run = claim_run(
        engine.database,
        run_id,
        worker=engine.worker,
        lease=engine.settings.lease,
        along=LOOK if urgent else None,
    )
    if run is None or run.alone:
        return run
    carry_on(engine, run)
    return None


def carry_on(engine: Engine, run: Run) -> None:
    """Work on a run that is claimed, until it lets go of it."""
    with (
        bind_run(
            request_id=run.request_id,
            run_id=str(run.id),
            connection=run.connection,
            stream=run.stream,
            attempt=run.attempt,
        ),
        engine.leases.holding(run.id, run.claim_no) as held,
    ):
        turn_ends = time.monotonic() + engine.settings.slice
        job = Job(run, held, _steps(run), run.records_rejected, turn_ends)
        try:
            _attempt(engine, job)
        except LostLease:
            log.warning("run_lost")


def _steps(run: Run) -> Steps:
    steps = Steps()
    if run.steps:
        steps.merge(run.steps)
    steps.add("queue", max(0.0, run.waited))
    return steps


def _attempt(engine: Engine, job: Job) -> None:
    """Carry the run out, and commit what became of it."""
    try:
        keep_to_windows(job.run, job.run.now())
        job.screens, job.extras = screens_of(engine, job.run), extras_of(engine, job.run)
        if job.run.refit is not None:
            refit_records(engine, job, job.run.refit)
        TRACKS[job.run.track](engine, job)
    except LostLease:
        raise
    except HeadraceError as exc:
        settle_run(engine, job, worded(exc, job.run.options, erased=job.run.erased))
    except Exception as exc:  # a fault of ours must not leave the run to its lease
        log.exception("run_crashed")
        settle_run(engine, job, Transient("internal_error", f"Headrace failed: {type(exc).__name__}."))
