"""How is a window read? Plan it, and take page after page into the copy: the live run, and what is
read again on request.

Emits: window_restarted.
"""

from collections.abc import Sequence
from contextlib import closing

import structlog

from worker.connectors.contract import TOKEN_EXPIRED, Stream
from worker.engine.admission.parents import let_parents_go_first
from worker.engine.deletes.tombstones import read_tombstones
from worker.engine.ending.commit import complete
from worker.engine.ending.judged import judged
from worker.engine.ending.outcome import Verdict
from worker.engine.events.meter import meter_of
from worker.engine.fetching.extract import Extractor, Fetched
from worker.engine.fetching.groups import grouped
from worker.engine.history import begin
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.planning.plan import (
    Plan,
    afresh,
    checkpoint,
    fresh_at,
    has_history,
    has_lost_place,
    plan_run,
    restart,
)
from worker.engine.port import Engine
from worker.engine.watching.cursor import CursorWatch
from worker.engine.watching.skew import ClockWatch
from worker.errors import NeedsOperator
from worker.runs.finish import Failure, LastPage
from worker.runs.states import State

log = structlog.get_logger()


def read_window(engine: Engine, job: Job) -> None:
    """Take every page of the run's window into the copy, and end the run."""
    run = job.run
    source = engine.registry.get(run.system).bind(run.settings)
    stream = source.stream(run.stream)
    let_parents_go_first(engine.database, run, stream.traits.after)
    plan = plan_run(run, stream.traits, run.now())
    begin(engine.database, run, stream.traits, plan)
    job.watch = CursorWatch(engine.database, run, stream.traits)
    job.meter = meter_of(engine.database, run, source)
    extractor = Extractor(
        engine.sender,
        job.context(source),
        stream,
        ahead=engine.ahead,
        now=run.now,
        clock=ClockWatch(engine.database, run),
    )
    try:
        last = take_pages(engine, job, extractor, plan)
    except NeedsOperator as exc:
        if plan.window.token is not None and exc.code == TOKEN_EXPIRED:
            # What was deleted since then goes unseen: only a sweep finds it.
            log.info("window_restarted", reason=str(exc))
            job.watch.doubt("token_expired")
            plan = afresh(plan)
        elif has_lost_place(plan, exc, pages=job.pages):
            # The page that we stopped at is not known there any more: read the window from its beginning.
            log.info("window_restarted", reason=str(exc))
            plan = restart(plan)
        else:
            raise
        last = take_pages(engine, job, extractor, plan)
    if last.plan.turns_back:
        job.watch.doubt("pages_shifted")
    _finish(engine, job, last, stream, unread=read_tombstones(engine, job, source, stream))


def take_pages(engine: Engine, job: Job, extractor: Extractor, plan: Plan) -> Fetched:
    """The window's last page; one without records is not committed yet, since it can go with the end of the run."""
    with closing(extractor.pages(plan)) as pages:
        for group in grouped(pages, extractor.next_is_here):
            last = group[-1]
            if to_load := group[:-1] if is_empty(last) else group:
                load(engine, job, to_load)
            if last.done:
                return last
            job.give_way()
    raise AssertionError("a window has a last page")


def load(engine: Engine, job: Job, group: Sequence[Fetched]) -> None:
    """Commit these pages together, with the cursor that follows from the last."""
    last = group[-1]
    job.load(
        engine,
        [Observed(job.screened(fetched.page), fetched.observed_at) for fetched in group],
        checkpoint(last.plan, done=last.done),
    )


def _finish(engine: Engine, job: Job, last: Fetched, stream: Stream, *, unread: Failure | None) -> None:
    """End a run whose window is read, with its last page where that is still to be committed.

    `unread` says why what was deleted couldn't be read.
    """
    run, plan = job.run, last.plan
    verdict = judged(engine, job, whole=not stream.traits.incremental)
    if unread is not None and verdict.state is State.SUCCEEDED:
        verdict = Verdict(State.PARTIAL, unread)
    keeps_cursor = verdict.state is State.SUSPICIOUS_EMPTY
    complete(
        engine,
        job,
        verdict.state,
        words=verdict.words,
        fresh_at=fresh_at(plan, run),
        history_done=not has_history(stream.traits),
        last=_last_page(job, last) if is_empty(last) and not keeps_cursor else None,
        load_last=lambda: load(engine, job, [last]),
    )


def is_empty(fetched: Fetched) -> bool:
    page = fetched.page
    return fetched.done and not (page.records or page.rejected or page.gone)


def _last_page(job: Job, last: Fetched) -> LastPage:
    cursor = checkpoint(last.plan, done=True)
    return LastPage(cursor.since, cursor.until, cursor.watermark, job.run.cursor.slice)
