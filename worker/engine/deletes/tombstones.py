"""What does the system's own list of deletes say? It is read at the end of a live run, with a cursor of its own.

What the run itself has read is committed by then. A list that can't be read now is read the next time from where it stopped,
and the run says that it ended in part. Emits: tombstones_read, tombstones_unread.
"""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import structlog
from psycopg.types.json import Jsonb

from worker.connectors.contract import Page, Source, Stream
from worker.connectors.cursors import dump_cursor
from worker.db.queries import sql
from worker.engine.deletes.families import let_go
from worker.engine.fetching.extract import Extractor, Fetched
from worker.engine.fetching.groups import grouped
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.planning.plan import Plan, checkpoint, has_lost_place, plan_run, restart
from worker.engine.port import Engine
from worker.errors import NeedsOperator, Transient
from worker.runs.claim import Stored
from worker.runs.finish import Failure

log = structlog.get_logger()

SLICE = "tombstones"


def read_tombstones(engine: Engine, job: Job, source: Source, stream: Stream) -> Failure | None:
    """Bury what the list names since it was last read; what a person should know where it can't be read."""
    listed = stream.tombstones()
    if listed is None:
        return None
    beside = _beside(engine, job)
    plan = plan_run(beside.run, listed.traits, beside.run.now())
    if plan.starts_cursor:
        place = {"stream": job.run.stream_id, "slice": SLICE, "watermark": _stored(plan)}
        engine.database.run(sql.start_tombstones, place)
    extractor = Extractor(engine.sender, job.context(source), listed, ahead=engine.ahead, now=job.run.now)
    try:
        try:
            _take(engine, beside, extractor, plan)
        except NeedsOperator as exc:
            if not has_lost_place(plan, exc, pages=beside.pages):
                raise
            _take(engine, beside, extractor, restart(plan))
    except (NeedsOperator, Transient) as exc:
        log.warning("tombstones_unread", error_code=exc.code, error=str(exc))
        return Failure("deletes_unread", f"The list of deletes can't be read: {exc}")
    finally:
        job.pages += beside.pages
        job.held_back = job.held_back or beside.held_back
    log.debug("tombstones_read", pages=beside.pages)
    return None


def _beside(engine: Engine, job: Job) -> Job:
    """The same run at another place."""
    row = engine.database.one(sql.read_cursor, {"stream": job.run.stream_id, "track": "live", "slice": SLICE})
    stored = Stored(slice=SLICE) if row is None else Stored(**row, slice=SLICE)
    run = replace(job.run, cursor=stored, look_back=None, pages=job.run.pages + job.pages)
    return Job(run, job.held, job.steps, 0, screens=job.screens, extras=job.extras)


def _take(engine: Engine, job: Job, extractor: Extractor, plan: Plan) -> None:
    with closing(extractor.pages(plan)) as pages:
        for group in grouped(pages, extractor.next_is_here):
            place = checkpoint(group[-1].plan, done=group[-1].done)
            job.load(engine, let_go(engine, job, [_of(job, fetched) for fetched in group]), place)
            job.check()


def _of(job: Job, fetched: Fetched) -> Observed:
    """Only the deletes of a page: its entries are no records of the stream. Times are those of the system's clock."""
    ahead = timedelta(seconds=job.run.clock_skew)
    gone = [each if each.at is None else replace(each, at=each.at - ahead) for each in fetched.page.gone]
    page = Page([], fetched.page.rejected, gone=gone)
    if (listed := fetched.page.listed) is not None:
        families = [f if f.at is None else replace(f, at=f.at - ahead) for f in listed.families]
        page.listed = replace(listed, families=families)
    return Observed(page, fetched.observed_at)


def _stored(plan: Plan) -> Jsonb | None:
    return None if plan.watermark is None else Jsonb(dump_cursor(plan.watermark))
