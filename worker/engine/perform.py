"""How is a run carried out? Claim it, plan its window, and take page after page into the copy; then let it go.

This is the loop to read. Each step is in a module of its own: `plan` decides, `extract` reads, `load` commits, `settle`
says what an error means. Emits: run_started, pages_loaded, run_finished, run_waits, run_lost, run_crashed.
"""

import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from worker.connectors.contract import Source, Stream
from worker.db.queries import sql
from worker.engine.batches import grouped
from worker.engine.extract import Extractor, Fetched
from worker.engine.history import begin
from worker.engine.load import Loader, Observed
from worker.engine.plan import Plan, checkpoint, has_history, plan_run, restart
from worker.engine.port import Engine
from worker.engine.settle import End, GiveBack, settle
from worker.errors import HeadraceError, LostLease, NeedsOperator, SliceEnded, Transient
from worker.http.sender import CallContext
from worker.runs.claim import Run, claim_run
from worker.runs.finish import LastPage, finish_run, give_back
from worker.runs.leases import Held
from worker.runs.publish import send_for
from worker.runs.states import BULK_TRACKS, State
from worker.telemetry.logs import bind_run
from worker.telemetry.steps import Steps

log = structlog.get_logger()

LOST_POSITION = frozenset({"request_refused", "elsewhere"})
"""What a system, or we, may say to a page's place that was kept for too long."""
STUCK_POSITION = frozenset({*LOST_POSITION, "paging_stuck"})


@dataclass(slots=True)
class Job:
    """A claimed run and what it needs while it is worked on."""

    run: Run
    held: Held
    steps: Steps
    rejected: int
    pages: int = 0
    """Committed in this claim."""
    loader: Loader | None = None
    """Made for the first page that has something to load: most runs have none."""


def carry_out(engine: Engine, run_id: UUID) -> Run | None:
    """Do what a wake-up call asks for. Delivered twice, it works once: only one delivery can claim the row.

    A run that must not share a process with others is claimed and handed back, for the caller to give it one.
    """
    if engine.leases.draining:
        return None  # the row stays queued, and its message will be sent again
    run = claim_run(engine.database, run_id, worker=engine.worker, lease=engine.settings.lease)
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
        job = Job(run, held, _steps(run), run.records_rejected)
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
        _read_window(engine, job)
    except LostLease:
        raise
    except HeadraceError as exc:
        _settle(engine, job, exc)
    except Exception as exc:  # a fault of ours must not leave the run to its lease
        log.exception("run_crashed")
        _settle(engine, job, Transient("internal_error", f"Headrace failed: {type(exc).__name__}."))


def _read_window(engine: Engine, job: Job) -> None:
    """Take every page of the run's window into the copy, and end the run."""
    run = job.run
    source = engine.registry.get(run.system).bind(run.settings)
    stream = source.stream(run.stream)
    plan = plan_run(run, stream.traits, run.now())
    begin(engine.database, run, stream.traits, plan)
    extractor = Extractor(
        engine.sender,
        _context(job, source),
        stream,
        ahead=engine.ahead,
        now=run.now,
    )
    try:
        last = _take_pages(engine, job, extractor, plan)
    except NeedsOperator as exc:
        if exc.code not in LOST_POSITION or not plan.resumes or job.pages:
            raise
        # The page that we stopped at is not known there any more: read the window from its beginning.
        log.info("window_restarted", reason=str(exc))
        last = _take_pages(engine, job, extractor, restart(plan))
    _complete(engine, job, last, stream)


def _take_pages(engine: Engine, job: Job, extractor: Extractor, plan: Plan) -> Fetched:
    """The window's last page; one without records is not committed yet, since it can go with the end of the run."""
    turn_ends = time.monotonic() + engine.settings.slice
    with closing(extractor.pages(plan)) as pages:
        for group in grouped(pages, extractor.next_is_here):
            last = group[-1]
            if to_load := group[:-1] if _is_empty(last) else group:
                _load(engine, job, to_load)
            if last.done:
                return last
            job.held.check()
            if job.run.track in BULK_TRACKS and time.monotonic() > turn_ends:
                raise SliceEnded("This slice is used up; the run goes on after others had their turn.")
    raise AssertionError("a window has a last page")


def _load(engine: Engine, job: Job, group: Sequence[Fetched]) -> None:
    """Commit these pages together, with the cursor that follows from the last."""
    last, count = group[-1], sum(len(fetched.page.records) for fetched in group)
    if job.loader is None:
        log.info("run_started", track=job.run.track, claim=job.run.claim_no)
        job.loader = Loader(engine.database, job.run, lease=engine.settings.lease)
    with job.steps.step("load", records=count):
        loaded = job.loader.load_pages(
            [Observed(fetched.page, fetched.observed_at) for fetched in group],
            checkpoint(last.plan, track=job.run.track, done=last.done),
        )
    job.rejected += loaded.rejected
    job.pages += len(group)
    log.debug(
        "pages_loaded",
        pages=len(group),
        records=count,
        created=loaded.created,
        updated=loaded.updated,
        deleted=loaded.deleted,
        rejected=loaded.rejected,
    )


def _context(job: Job, source: Source) -> CallContext:
    run = job.run
    return CallContext(
        connection_id=run.connection_id,
        account=run.account,
        lane=run.lane,
        source=source,
        secrets=run.secrets,
        request_id=run.request_id,
        steps=job.steps,
        stream=run.stream,
    )


def _complete(engine: Engine, job: Job, last: Fetched, stream: Stream) -> None:
    """End a run whose window is read, with its last page where that is still to be committed."""
    run, open_page = job.run, _is_empty(last)
    plan = last.plan
    ended = partial(
        finish_run,
        engine.database,
        run.id,
        run.claim_no,
        State.PARTIAL if job.rejected else State.SUCCEEDED,
        fresh_at=plan.window.until if stream.traits.timestamps and plan.window.until else run.claimed_at,
        history_done=run.track == "history" or not has_history(stream.traits),
        steps=job.steps.as_json(),
    )
    try:
        row, successor = ended(last=_last_page(job, last) if open_page else None)
    except LostLease:
        if not open_page:
            raise
        _load(engine, job, [last])  # says which: the run is lost, or somebody wants it cancelled
        row, successor = ended()
    _say_finished(job, row)
    if successor:
        send_for(engine.database, [successor])


def _is_empty(fetched: Fetched) -> bool:
    return fetched.done and not fetched.page.records and not fetched.page.rejected


def _last_page(job: Job, last: Fetched) -> LastPage:
    cursor = checkpoint(last.plan, track=job.run.track, done=True)
    return LastPage(cursor.since, cursor.until, cursor.watermark)


def _say_finished(job: Job, row: DictRow) -> None:
    """One line for a run that found nothing to do, and that says all the same where it worked and how long."""
    log.info(
        "run_finished",
        outcome="partial" if job.rejected else "succeeded",
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
    )


def _settle(engine: Engine, job: Job, error: HeadraceError) -> None:
    """Commit what an error means for the run."""
    run = job.run
    decision = settle(
        error,
        attempt=0
        if job.pages
        else run.attempt,  # as the ledger has it: a committed page ends a row of failures
        max_attempts=engine.settings.max_attempts,
        now=run.now(),
        dice=random.random(),  # noqa: S311 - spreads retries, guards nothing
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
        engine.database.run(sql.drop_position, {"run": run.id, "claim": run.claim_no})
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
    if successor:
        send_for(engine.database, [successor])
