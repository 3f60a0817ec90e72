"""How is a window read? Plan it, and take page after page into the copy: the live run, and what is
read again on request.

Emits: window_restarted.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import structlog

from worker.connectors.contract import TOKEN_EXPIRED, Page, Stream
from worker.engine.admission.parents import let_parents_go_first
from worker.engine.deletes.families import let_go
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
    source = engine.registry.get(run.system, run.manifest_version).bind(run.settings)
    stream = source.stream(run.stream)
    let_parents_go_first(engine.database, run, stream.traits.after)
    job.begin(engine, stream.traits)
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
        end = take_pages(engine, job, extractor, plan)
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
        end = take_pages(engine, job, extractor, plan)
    if end.last.plan.turns_back:
        job.watch.doubt("pages_shifted")
    _finish(engine, job, end, stream, unread=read_tombstones(engine, job, source, stream))


@dataclass(frozen=True, slots=True)
class End:
    """A window's last page, without its records where they are committed. One that has none isn't yet: it can go with the end of
    the run.
    """

    last: Fetched
    is_committed: bool


def take_pages(engine: Engine, job: Job, extractor: Extractor, plan: Plan) -> End:
    """Commit the pages of a window, up to its end."""
    with closing(extractor.pages(plan)) as pages:
        for group in grouped(pages, extractor.next_is_here):
            if (end := _take_group(engine, job, group)) is not None:
                return end
            job.give_way()
    raise AssertionError("a window has a last page")


def _take_group(engine: Engine, job: Job, group: list[Fetched]) -> End | None:
    """Commit these; the window's end, if it is among them."""
    last = group[-1]
    if is_empty(last):
        if before := group[:-1]:
            load(engine, job, before)
        return End(last, is_committed=False)
    load(engine, job, group)
    group.clear()  # whoever waits for their room gets it before this run has ended
    return End(replace(last, page=Page([])), is_committed=True) if last.done else None


def load(engine: Engine, job: Job, group: Sequence[Fetched]) -> None:
    """Commit these pages together, with the cursor that follows from the last."""
    last = group[-1]
    seen = let_go(engine, job, [Observed(fetched.page, fetched.observed_at) for fetched in group])
    job.load(
        engine,
        [Observed(job.screened(each.page), each.at) for each in seen],
        checkpoint(last.plan, done=last.done),
    )


def _finish(engine: Engine, job: Job, end: End, stream: Stream, *, unread: Failure | None) -> None:
    """End a run whose window is read, with its last page where that is still to be committed.

    `unread` says why what was deleted couldn't be read.
    """
    run, last = job.run, end.last
    verdict = judged(engine, job, whole=not stream.traits.incremental, unchanged=last.page.unchanged)
    if unread is not None and verdict.state is State.SUCCEEDED:
        verdict = Verdict(State.PARTIAL, unread)
    keeps_cursor = verdict.state is State.SUSPICIOUS_EMPTY
    complete(
        engine,
        job,
        verdict.state,
        words=verdict.words,
        fresh_at=fresh_at(last.plan, run),
        history_done=not has_history(stream.traits),
        last=_last_page(job, last) if not end.is_committed and not keeps_cursor else None,
        load_last=lambda: load(engine, job, [last]),
    )


def is_empty(fetched: Fetched) -> bool:
    page = fetched.page
    says_more = page.listed is not None and (page.listed.families or page.listed.absent)
    return fetched.done and not (page.records or page.rejected or page.gone or says_more)


def _last_page(job: Job, last: Fetched) -> LastPage:
    cursor = checkpoint(last.plan, done=True)
    return LastPage(cursor.since, cursor.until, cursor.watermark, job.run.cursor.slice)
