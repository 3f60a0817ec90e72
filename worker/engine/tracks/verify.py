"""Is the copy right? A run that compares it with the source, within a small allowance of requests.

Looks once (`proof.looks`), looks again at what differs (`proof.second`), mends it where it is asked to, and keeps what it
found in `verifications`. It reads in the bulk lane unless somebody asked, moves no cursor, and deletes nothing but what
the source itself says is gone. Emits: verified.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec
import structlog
from psycopg.types.json import Jsonb

from worker.connectors.contract import CursorValue, Gone, Page, Record, StreamTraits, Window
from worker.connectors.cursors import load_cursor
from worker.db.queries import sql
from worker.engine.ending.commit import complete
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.planning.lateness import look_back_of
from worker.engine.port import Engine
from worker.engine.proof.asking import Asker, Copy
from worker.engine.proof.compare import Due, differing_fields
from worker.engine.proof.looks import Looks
from worker.engine.proof.report import MOST_EXAMPLES, Findings, Report, example, report
from worker.engine.proof.retry import DONE
from worker.engine.proof.sample import first_looks
from worker.engine.proof.second import Before, second_looks
from worker.errors import RateLimited
from worker.runs.finish import Failure
from worker.runs.states import State

log = structlog.get_logger()

ALLOWANCE = 50
"""Requests that a comparison may take, unless somebody says otherwise."""
MARGIN = timedelta(seconds=60)
"""What a whole sync may have missed at its edge, where its stream has no cursor."""
PATIENCE = 3
"""So often a comparison that was interrupted by a limit begins anew; then it ends with what it has."""


def verify(engine: Engine, job: Job) -> None:
    """Compare, mend where it is asked for, and end the run."""
    run = job.run
    source = engine.registry.get(run.system, run.manifest_version).bind(run.settings)
    stream = source.stream(run.stream)
    job.begin(engine, stream.traits)
    facts = engine.database.one(sql.verify_facts, {"stream": run.stream_id, "run": run.id}) or {}
    asker = Asker(engine, job, source, stream, _allowance(job))
    asker.bound = first_looks(asker.allowance)
    since = _since(job, facts, stream.traits)
    looks = Looks(
        asker,
        Copy(engine, job),
        due=due_of(
            facts,
            stream.traits,
            began=run.claimed_at,
            back=look_back_of(stream.traits, run.look_back, run.options),
            skew=run.clock_skew,
        ),
        found=Findings(),
        dice=Random(run.id.int),  # noqa: S311 - guards nothing; the same run looks at the same places
        everything=Window(),
        since=since,
    )
    if not looks.due.all_in:
        looks.found.stopped = "The first history is still being read."
    try:
        looks.first_looks()
        second_looks(looks, _before(facts))
    except RateLimited as exc:
        if run.claim_no < PATIENCE or not looks.found.checked:
            raise
        looks.found.complete = False
        looks.found.stopped = f"It ended early: {exc.message}"
        second_looks_missed(looks)
    engine.sender.let_go(job.context(source))  # what was only begun with isn't wanted any more
    if asker.out_of_time:
        looks.found.stopped = "It ended early: its time was up."
    _finish(engine, job, looks, since)


def second_looks_missed(looks: Looks) -> None:
    """What nobody looked at twice is pending."""
    sorted_already = {*looks.found.confirmed, *looks.found.waiting}
    looks.found.pending.update(looks.suspects.keys() - sorted_already)


def due_of(facts: Any, traits: StreamTraits, *, began: datetime, back: float, skew: float) -> Due:
    """Up to where the copy is due to know every change: as far as the live runs have read, less what they read again."""
    swept, all_in = bool(facts.get("swept")), facts.get("history_done_at") is not None
    if traits.incremental and not traits.token:
        stored = facts.get("watermark")
        if stored is None:
            return Due(began, None, swept=swept, all_in=all_in)
        before: CursorValue = load_cursor(stored, timestamps=traits.timestamps)
        if isinstance(before, datetime):
            return Due(began, before - timedelta(seconds=back), swept=swept, all_in=all_in)
        return Due(began, before - int(back), swept=swept, all_in=all_in)
    synced = facts.get("last_success_at")
    before_then = None if synced is None else synced + timedelta(seconds=skew) - MARGIN
    return Due(began, before_then, by_update=True, swept=swept, all_in=all_in)


def _since(job: Job, facts: Any, traits: StreamTraits) -> CursorValue | None:
    """How far back the copy is to go; None: everything."""
    stored = facts.get("since")
    if job.run.history_days is None or stored is None or not (traits.incremental and traits.timestamps):
        return None
    return load_cursor(stored, timestamps=True)


def _before(facts: Any) -> Before:
    return Before(facts.get("waiting") or {}, bool(facts.get("synced_since")), bool(facts.get("swept_since")))


def _allowance(job: Job) -> int:
    wanted = job.run.scope.get("requests")
    return wanted if isinstance(wanted, int) and wanted > 0 else ALLOWANCE


def _finish(engine: Engine, job: Job, looks: Looks, since: CursorValue | None) -> None:
    run, found = job.run, looks.found
    fields = _fields(looks)
    repaired, sweep_asked = _repair(engine, job, looks) if run.scope.get("repair") else (0, False)
    result = report(found, copy_records=looks.copy.count(), repaired=repaired, sweep_asked=sweep_asked)
    examples = [example(each, fields.get(key, [])) for key, each in _first(found).items()]
    engine.database.one(
        sql.keep_verification,
        {
            "run": run.id,
            "claim": run.claim_no,
            "stream": run.stream_id,
            "started_at": run.claimed_at,
            "methods": found.methods,
            "scope": Jsonb(_scope(job, since, looks.everything)),
            "allowance": looks.asker.allowance,
            "requests": looks.asker.spent,
            "checked": result.checked,
            "copy_records": result.copy_records,
            "source_records": result.source_records,
            **result.counts,
            "pending": result.pending,
            "repaired": repaired,
            "proven": result.proven,
            "drift": max(0, result.drift - repaired),
            "words": result.words,
            "examples": Jsonb(examples),
            "waiting": Jsonb(found.waiting),
        },
    )
    _say(result, examples)
    complete(engine, job, State.SUCCEEDED, words=_words(result))


def _words(result: Report) -> Failure | None:
    return Failure("drift", result.words) if result.drift > result.repaired else None


def _say(result: Report, examples: list[dict[str, Any]]) -> None:
    level = log.warning if result.drift else log.info
    level(
        "verified",
        proven=result.proven,
        checked=result.checked,
        **result.counts,
        pending=result.pending,
        repaired=result.repaired,
        examples=[each["key"] for each in examples[:3]],
    )


def _scope(job: Job, since: CursorValue | None, everything: Window) -> dict[str, Any]:
    """What was compared, for whoever reads the result later."""
    options = job.run.options
    left_out = [".".join(path) for name in ("exclude", "hash") for path in options.get(name, ())]
    scope: dict[str, Any] = {"repair": bool(job.run.scope.get("repair"))}
    if isinstance(since, datetime):
        scope["updated_since"] = since.isoformat()
    if everything.since is not None:
        scope["filtered"] = True  # the system was asked for those only
    if left_out:
        scope["fields_not_kept"] = left_out
    return scope


def _first(found: Findings) -> dict[str, Any]:
    return dict(list(found.confirmed.items())[:MOST_EXAMPLES])


def _fields(looks: Looks) -> dict[str, list[str]]:
    """Which fields differ, of the examples."""
    shown = {
        key: each.record
        for key, each in _first(looks.found).items()
        if each.record is not None and each.difference.kind == "different"
    }
    held = looks.copy.contents(list(shown)) if shown else {}
    return {key: differing_fields(held[key], _decoded(shown[key])) for key in shown if key in held}


def _decoded(record: Record) -> Any:
    try:
        return msgspec.json.decode(record.raw)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _repair(engine: Engine, job: Job, looks: Looks) -> tuple[int, bool]:
    """Load what the second look showed, whatever its version, and bury what the source itself says is gone.

    What it merely doesn't show is left alone: a sweep is asked for, which has its evidence and its fuse.
    """
    records: dict[datetime, Page] = {}
    unproven = False
    for each in looks.found.confirmed.values():
        page = records.setdefault(each.seen_at, Page([]))
        if each.record is not None:
            page.records.append(each.record)
        elif each.gone is not None:
            page.gone.append(Gone(each.gone.key, each.gone.reason))
        else:
            unproven = True
    pages = [Observed(page, at) for at, page in sorted(records.items()) if page.records or page.gone]
    repaired = 0
    if pages:
        job.authoritative = True
        loaded = job.load(engine, pages, DONE)
        repaired = loaded.created + loaded.updated + loaded.deleted
    asked = unproven and engine.database.run(sql.ask_for_sweep, {"stream": job.run.stream_id}) > 0
    return repaired, asked
