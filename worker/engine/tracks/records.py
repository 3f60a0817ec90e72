"""How are some records read again? All of a stream, a range of dates, what fits a filter, or those of a list of keys.

Somebody asked for it, so what comes counts whatever its version. It has a cursor of its own, by its scope, and touches nobody
else's: neither the live cursor nor the history nor another re-sync moves. Keys are asked for one by one where the system
can be asked so (`singles`); where it can't, everything is read and only those are kept. The cursor goes with the end.
Emits: window_restarted.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from worker.connectors.contract import Page, Source, Stream, Window
from worker.connectors.cursors import load_cursor
from worker.connectors.reading.keys import make_key
from worker.db.queries import sql
from worker.engine.ending.commit import complete
from worker.engine.ending.judged import judged
from worker.engine.fetching.extract import Extractor
from worker.engine.job import Job
from worker.engine.planning.plan import Plan, go_on, has_lost_place, is_stale, restart
from worker.engine.port import Engine
from worker.engine.proof.retry import retry_quarantine
from worker.engine.tracks.singles import read_singles, words_of
from worker.engine.tracks.window import take_pages
from worker.errors import NeedsOperator
from worker.runs.finish import Failure
from worker.runs.states import State

log = structlog.get_logger()


def read_records(engine: Engine, job: Job) -> None:
    """Take what the run's scope names into the copy, and end the run."""
    run, scope = job.run, job.run.scope
    source = engine.registry.get(run.system, run.manifest_version).bind(run.settings)
    stream = source.stream(run.stream)
    if "quarantine" in scope:
        retry_quarantine(engine, job, stream)
        return
    job.authoritative = True
    job.begin(engine, stream.traits)
    if not run.pages:  # whoever left a place there was another run of this scope: what it read was read before this was asked
        job.run = replace(run, cursor=replace(run.cursor, position=None))
    ids = scope.get("ids")
    if ids is None:
        _read_window(engine, job, source, stream.filtered(scope.get("filters", {})))
        _end(engine, job)
    elif can_be_asked(stream):
        _end(engine, job, read_singles(engine, job, source, stream, ids))
    else:
        _end(engine, job, _read_among_all(engine, job, source, stream, ids))


def can_be_asked(stream: Stream) -> bool:
    """Whether the system can be asked for one record; a key that is one wherever so many fields make it tells."""
    return stream.single(make_key(["1"] * len(stream.key_fields))) is not None


def _read_window(engine: Engine, job: Job, source: Source, stream: Stream) -> None:
    """Every page of what the scope asks for, from where it stopped."""
    run = job.run
    plan = _plan(job, stream)
    extractor = Extractor(engine.sender, job.context(source), stream, ahead=engine.ahead, now=run.now)
    try:
        take_pages(engine, job, extractor, plan)
    except NeedsOperator as exc:
        if not has_lost_place(plan, exc, pages=job.pages):
            raise
        log.info("window_restarted", reason=str(exc))
        take_pages(engine, job, extractor, restart(plan))


def _plan(job: Job, stream: Stream) -> Plan:
    run, traits = job.run, stream.traits
    since, until = (_time(run.scope.get(name)) for name in ("since", "until"))
    if (since or until) and not (traits.incremental and traits.timestamps):
        raise NeedsOperator(
            "no_date_range", f"The system can't be asked for {run.stream} of a range of dates."
        )
    plan = go_on(Plan(Window(since, until)), run.cursor.position, traits)
    return restart(plan) if is_stale(run, traits, run.now()) else plan


def _read_among_all(
    engine: Engine, job: Job, source: Source, stream: Stream, ids: Sequence[str]
) -> Failure | None:
    """Where one record can't be asked for: everything is read, and only those are kept. What is missing is named."""
    wanted, seen = frozenset(ids), set[str]()
    from_the_start = job.run.cursor.position is None

    def only(page: Page) -> Page:
        page.records = [record for record in page.records if record.key in wanted]
        page.rejected = [bad for bad in page.rejected if bad.key in wanted]
        page.gone = [gone for gone in page.gone if gone.key in wanted]
        seen.update(record.key for record in page.records)
        return page

    job.screens = [only, *job.screens]
    _read_window(engine, job, source, stream)
    missing = sorted(wanted - seen) if from_the_start else []
    return words_of(
        missing, len(wanted), "weren't in the list that the system sent; a sweep tells whether they are gone"
    )


def _end(engine: Engine, job: Job, words: Failure | None = None) -> None:
    run = job.run
    engine.database.run(sql.forget_place, {"run": run.id, "claim": run.claim_no})
    verdict = judged(engine, job, whole=False)
    state = verdict.state if words is None else State.PARTIAL
    complete(engine, job, state, words=words or verdict.words)


def _time(value: Any) -> datetime | None:
    found = None if value is None else load_cursor(value, timestamps=True)
    return found if isinstance(found, datetime) else None
