"""What becomes of records that were set aside, when somebody asks, or when their system is read in another way?

Their bytes were kept: they are read again with the manifest and the screens of today, without one request. What can be
taken is loaded as seen when it was, so what came since stays; what can't stays aside, with what is wrong with it now.
Emits: quarantine_retried.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog

from worker.connectors.contract import Page, Stream
from worker.db.queries import sql
from worker.db.words import storable
from worker.engine.ending.commit import complete
from worker.engine.job import Job
from worker.engine.keep.digests import PREFIX
from worker.engine.keep.privacy import WITHHELD, FieldScreen
from worker.engine.keep.screens import Screen
from worker.engine.loading.load import Observed
from worker.engine.loading.refused import REASON_WORDS, REJECTED_RAW
from worker.engine.planning.plan import Checkpoint
from worker.engine.port import Engine
from worker.runs.finish import Failure
from worker.runs.states import State

log = structlog.get_logger()

BATCH = 500
DONE = Checkpoint(since=None, until=None, position=None, watermark=None, finished=False)
_DIGEST = re.compile(re.escape(PREFIX) + r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Tried:
    """A record that was set aside, read again."""

    content_hash: UUID
    seen_at: datetime
    page: Page
    """Holds one record, one delete or one rejection; nothing, where it was erased meanwhile."""

    @property
    def fails(self) -> bool:
        return bool(self.page.rejected)


def retry_quarantine(engine: Engine, job: Job, stream: Stream) -> None:
    """Read again what was set aside of the run's stream, all or what its scope names, and end the run."""
    run = job.run
    job.authoritative = False  # they were seen long ago
    job.screens = [screen_again(screen) for screen in job.screens]
    named = run.scope.get("quarantine")
    wanted = {
        "stream": run.stream_id,
        "since": run.claimed_at,
        "hashes": named if isinstance(named, list) else None,
        "batch": BATCH,
    }
    taken = left = 0
    while rows := engine.database.all(sql.quarantined_batch, wanted):
        tried = [try_again(stream, job.screened, row) for row in rows]
        good = [each for each in tried if not each.fails]
        if pages := pages_of(good):
            job.load(engine, pages, DONE)
        engine.database.run(sql.release_quarantined, _released(run.stream_id, good))
        engine.database.run(sql.note_retried, _tried(run.stream_id, rows, tried))
        taken, left = taken + len(good), left + len(tried) - len(good)
        job.check()
    left += job.rejected - run.records_rejected  # Postgres refused these again
    log.info("quarantine_retried", taken=taken, left=left)
    state, words = verdict(taken, left)
    complete(engine, job, state, words=words)


def verdict(taken: int, left: int) -> tuple[State, Failure | None]:
    """How the run ended, in words where something stays aside."""
    if not left:
        return State.SUCCEEDED, None
    words = f"{taken:,} of {taken + left:,} records could be taken now; {left:,} stay set aside."
    return State.PARTIAL, Failure("records_set_aside", words)


def try_again(stream: Stream, screened: Callable[[Page], Page], row: Any) -> Tried:
    return Tried(row["content_hash"], row["last_seen_at"], screened(stream.parse([row["raw"]])))


def pages_of(tried: Sequence[Tried]) -> list[Observed]:
    """What can be taken, together by when it was seen."""
    by_time = sorted(tried, key=lambda each: each.seen_at)
    pages = []
    for seen_at, group in groupby(by_time, key=lambda each: each.seen_at):
        page = Page([])
        for each in group:
            page.records += each.page.records
            page.gone += each.page.gone
        if page.records or page.gone:
            pages.append(Observed(page, seen_at))
    return pages


def screen_again(screen: Screen) -> Screen:
    """A screen for records that went through it before: what is hashed already isn't hashed twice."""
    if not isinstance(screen, FieldScreen):
        return screen
    digest = screen.digest
    return replace(screen, digest=lambda text: text if _DIGEST.match(text) else digest(text))


def _released(stream_id: int, good: Sequence[Tried]) -> dict[str, Any]:
    """What was set aside once more meanwhile has another time, and stays."""
    hashes = [each.content_hash for each in good]
    return {"stream": stream_id, "hashes": hashes, "seen": [each.seen_at for each in good]}


def _is_whole(row: Any) -> bool:
    """Neither cut to be kept, nor kept without what must not be."""
    return len(row["raw"]) < REJECTED_RAW and row["reason"] != WITHHELD


def _tried(stream_id: int, rows: Sequence[Any], tried: Sequence[Tried]) -> dict[str, Any]:
    """What is wrong with each now; None leaves what was said. Of bytes that were cut to be kept, nothing new can be."""
    said = [
        each.page.rejected[0] if each.fails and _is_whole(row) else None
        for row, each in zip(rows, tried, strict=True)
    ]
    return {
        "stream": stream_id,
        "hashes": [row["content_hash"] for row in rows],
        "codes": [None if bad is None else bad.code for bad in said],
        "reasons": [None if bad is None else storable(bad.reason)[:REASON_WORDS] for bad in said],
    }
