"""What is there? A stream's list is read for its keys alone, and what was seen is kept until it has been compared.

A generation is one window of one run, read from its beginning: pages are staged with the place that follows from them, in
one transaction under the fence, so a crash repeats a page and a stale worker adds nothing. Where the window has to begin
anew, so does the generation.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.connectors.contract import Stream
from worker.db.database import LOST_LEASE
from worker.db.queries import sql
from worker.engine.fetching.extract import Extractor, Fetched
from worker.engine.fetching.groups import grouped
from worker.engine.job import Job
from worker.engine.planning.plan import Plan, checkpoint, has_lost_place, plan_run, restart
from worker.engine.port import Engine
from worker.errors import Cancelled, LostLease, NeedsOperator
from worker.runs.claim import Run

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Generation:
    """One look at all that is there."""

    number: int
    started_at: datetime
    """The database's time before its first request."""
    read: bool = False
    """To its end."""


@contextmanager
def fenced(engine: Engine, job: Job) -> Iterator[psycopg.Connection[DictRow]]:
    """A transaction that is committed only if the run is still ours at its end."""
    run = job.run
    with _translated(run), engine.database.transaction() as connection:
        yield connection
        connection.execute(sql.hold_run, {"run": run.id, "claim": run.claim_no})


@contextmanager
def _translated(run: Run) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as exc:
        if exc.sqlstate == LOST_LEASE:
            raise LostLease(run.id) from None
        raise


def read_list(engine: Engine, job: Job, stream: Stream, extractor: Extractor) -> Generation:
    """Stage the keys of every page; the generation, read to its end. Emits: window_restarted."""
    plan = plan_run(job.run, stream.traits, job.run.now())
    generation = _open(engine, job)
    if generation is not None and generation.read:
        return generation
    if generation is None or not plan.resumes:
        plan, generation = restart(plan), _begin(engine, job)
    try:
        _take_pages(engine, job, extractor, plan, generation)
    except NeedsOperator as exc:
        if not has_lost_place(plan, exc, pages=job.pages):
            raise
        log.info("window_restarted", reason=str(exc))
        plan, generation = restart(plan), _begin(engine, job)
        _take_pages(engine, job, extractor, plan, generation)
    return generation


def _open(engine: Engine, job: Job) -> Generation | None:
    """What this run has read so far, if all of that is still there."""
    row = engine.database.one(sql.open_sweep, {"stream": job.run.stream_id, "run": job.run.id})
    return None if row is None else Generation(row["generation"], row["started_at"], row["read"])


def _begin(engine: Engine, job: Job) -> Generation:
    with fenced(engine, job) as connection:
        row = connection.execute(sql.begin_sweep, {"stream": job.run.stream_id, "run": job.run.id}).fetchone()
        assert row is not None  # noqa: S101 - it was inserted
    return Generation(row["generation"], row["started_at"])


def _take_pages(engine: Engine, job: Job, extractor: Extractor, plan: Plan, generation: Generation) -> None:
    with closing(extractor.pages(plan)) as pages:
        for group in grouped(pages, extractor.next_is_here):
            _stage(engine, job, group, generation)
            if group[-1].done:
                return
            job.give_way()
    raise AssertionError("a window has a last page")


def _stage(engine: Engine, job: Job, group: Sequence[Fetched], generation: Generation) -> None:
    """Commit the keys of these pages with the place that follows from the last."""
    run, last = job.run, group[-1]
    pages = [job.screened(fetched.page) for fetched in group]
    keys = [key for page in pages for key in page.keys]
    totals = [page.in_all for page in pages if page.in_all is not None]
    counts = {
        "pages": len(group),
        "read": len(keys),
        "rejected": sum(bad.key is None for page in pages for bad in page.rejected),
        "total": totals[-1] if totals else None,
    }
    staged = {"stream": run.stream_id, "generation": generation.number, "keys": keys, "done": last.done}
    with (
        job.steps.step("load", records=len(keys)),
        _translated(run),
        engine.database.transaction() as connection,
    ):
        connection.execute(sql.stage_keys, staged | counts)
        row = connection.execute(sql.checkpoint_page, _place(engine, job, last) | counts).fetchone()
    job.pages += len(group)
    job.read += len(keys)
    if row is not None and row["cancelled"]:
        raise Cancelled(run.id)


def _place(engine: Engine, job: Job, last: Fetched) -> dict[str, Any]:
    place = checkpoint(last.plan, done=last.done)
    return {
        "run": job.run.id,
        "claim": job.run.claim_no,
        "lease": engine.settings.lease,
        "stream": job.run.stream_id,
        "track": job.run.track,
        "slice": job.run.cursor.slice,
        "window_since": None,
        "window_until": None,
        "position": None if place.position is None else Jsonb(place.position),
        "watermark": None,
        "finished": False,
        **dict.fromkeys(("created", "updated", "deleted", "refused"), 0),
    }
