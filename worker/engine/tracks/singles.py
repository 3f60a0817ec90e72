"""How are records read again by their keys? One request each, some of them in one commit, and on from there after a stop.

A record that the system says isn't there becomes a tombstone (`not_found`). That is believed only from a system that knew
another of them: many in a row of which none is there look like a wrong address; and more at once than the fuse of deletes
lets pass wait for a person. What can't be read is named and left as it is.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.connectors.contract import Gone, Page, Source, Stream
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.deletes.absent import hold_absent, pass_unasked
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.planning.plan import Checkpoint
from worker.engine.port import Engine
from worker.errors import OF_ONE_RECORD, BadRecord, HeadraceError, NeedsOperator
from worker.runs.finish import Failure

AT_ONCE = 50
"""Records of one commit, if they come within the time."""
MOST_SECONDS = 2.0
BELIEVED = 10
"""Up to so many keys are believed to be gone though none was found."""
NAMED = 5


@dataclass(slots=True)
class _Reading:
    """Where it stands; kept with each commit."""

    done: int = 0
    found: bool = False
    held: list[str] = field(default_factory=list)
    """Keys that aren't there, as the system says, and of which it is decided at the end of a long list."""
    held_at: str | None = None
    """When the first of them was asked for: what the copy has seen of them since then stays."""
    missed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Keys that neither the system nor the copy knows: whoever asked for them mistyped them, most likely."""

    def as_json(self) -> dict[str, Any]:
        return {
            "done": self.done,
            "found": self.found,
            "held": self.held,
            "held_at": self.held_at,
            "missed": self.missed,
            "unknown": self.unknown,
        }


def read_singles(
    engine: Engine, job: Job, source: Source, stream: Stream, ids: Sequence[str]
) -> Failure | None:
    """Read these again; what is to be said of those that couldn't be read."""
    keys = sorted(set(ids))
    kept = (job.run.cursor.position or {}).get("page") or {}
    at = _Reading(**kept)
    context = job.context(source)
    pages: list[Observed] = []
    begun = time.monotonic()
    while at.done < len(keys):
        key = keys[at.done]
        try:
            observed_at = job.run.now()
            page = _ask(engine, context, stream, key)
        except HeadraceError:
            _commit(engine, job, at, pages)  # what came isn't asked for again
            raise
        if page is None:
            at.missed.append(key)
            page = Page([])  # counts as done: else a long list of them would be asked for for ever
        else:
            at.found = at.found or bool(page.records)
            at.unknown += _unknown(engine, job, page)
            if page.gone and (_lonely(at, len(keys)) or not pass_unasked(job, len(keys))):
                _hold(page, at, observed_at)
            page = job.screened(page)
        pages.append(Observed(page, observed_at))
        at.done += 1
        if len(pages) >= AT_ONCE or time.monotonic() - begun > MOST_SECONDS:
            _commit(engine, job, at, pages)
            begun = time.monotonic()
            job.give_way()
    held = _decide(engine, job, at, pages, len(keys))
    _commit(engine, job, at, pages)
    return (
        held
        or words_of(at.missed, len(keys), "couldn't be read")
        or words_of(at.unknown, len(keys), "are known neither to the system nor to the copy")
    )


def _decide(engine: Engine, job: Job, at: _Reading, pages: list[Observed], asked: int) -> Failure | None:
    """Let those go that aren't there, or say why they stay."""
    if at.held_at is None:
        return None
    if _lonely(at, asked):
        return Failure(
            "all_absent",
            f"The system knows none of the {asked:,} records, so it isn't believed: nothing was deleted. Is its "
            "address right, and may its user see them?",
        )
    since = datetime.fromisoformat(at.held_at)
    failure = hold_absent(engine, job, at.held, since)
    if failure is None:
        pages.append(
            Observed(job.screened(Page([], gone=[Gone(key, "not_found") for key in at.held])), since)
        )
        at.held, at.held_at = [], None
    return failure


def words_of(missing: Sequence[str], asked: int, why: str) -> Failure | None:
    """What is said of those that weren't read; None where all were."""
    if not missing:
        return None
    named = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
    return Failure("records_not_read", f"{len(missing):,} of the {asked:,} records {why}: {named}.")


def _ask(engine: Engine, context: Any, stream: Stream, key: str) -> Page | None:
    """What the system says of this record; None where it can't be asked for it."""
    try:
        request = stream.single(key)
        if request is None:
            return None
        return stream.read_single(engine.sender.send(context, request), key)
    except BadRecord:
        return None
    except NeedsOperator as exc:
        if exc.code not in OF_ONE_RECORD:
            raise
        return None


def _unknown(engine: Engine, job: Job, page: Page) -> list[str]:
    """Of what is gone, what was never here; not of a sweep, whose keys may be gone by now."""
    if not page.gone or job.run.cause == "sweep":
        return []
    place = {"bucket": job.run.bucket, "stream": job.run.stream_id, "keys": [gone.key for gone in page.gone]}
    return [row["key"] for row in engine.database.all(in_partition(sql.unknown_keys, job.run.bucket), place)]


def _lonely(at: _Reading, asked: int) -> bool:
    """Whether of a long list none was found so far."""
    return not at.found and asked > BELIEVED


def _hold(page: Page, at: _Reading, asked_at: datetime) -> None:
    at.held += [gone.key for gone in page.gone]
    at.held_at = at.held_at or asked_at.isoformat()
    page.gone = []


def _commit(engine: Engine, job: Job, at: _Reading, pages: list[Observed]) -> None:
    if pages:
        position = {"page": at.as_json()}
        job.load(engine, pages, Checkpoint(None, None, position, None, finished=False))
        pages.clear()
