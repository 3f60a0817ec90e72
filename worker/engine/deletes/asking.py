"""Is a suspect there after all? A few are asked for by their keys, one request each.

The answer "not there" counts only where the same question finds a record that the sweep has just seen. Who is there after
all is read into the copy. A question that fails ends the asking: the second sweep decides then.
Emits: suspects_not_asked, suspects_asked.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from worker.connectors.contract import Source, Stream
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.port import Engine
from worker.errors import BadRecord, Cancelled, Draining, HeadraceError, LostLease, NotNow

log = structlog.get_logger()

CONTROLS = 3
"""So many that the sweep saw are asked for at most, until one is found: it may have been deleted since."""
LONGEST = 300.0
"""Seconds of asking, however slow the system is: what was answered is kept at its end, and a run has its deadline."""


@dataclass(slots=True)
class Asked:
    """What came of it."""

    absent: dict[str, datetime] = field(default_factory=dict)
    """Who isn't there, and when that was asked."""
    found: list[Observed] = field(default_factory=list)
    """Who is, as pages of one."""

    @property
    def found_keys(self) -> list[str]:
        return [key for seen in self.found for key in seen.page.keys]

    @property
    def refutes(self) -> bool:
        """Some that the sweep missed are there, and don't say themselves that they are gone."""
        return any(not record.deleted for seen in self.found for record in seen.page.records)


def ask(engine: Engine, job: Job, source: Source, keys: Sequence[str], seen: Sequence[str]) -> Asked:
    """Ask for these keys, once it is known that the system finds what is there (`seen`)."""
    asked, ends = Asked(), time.monotonic() + LONGEST
    stream = source.stream(job.run.stream)
    try:
        if keys and _finds(engine, job, source, stream, seen):
            for key in keys:
                if time.monotonic() > ends:
                    break
                job.check()
                _note(asked, key, _single(engine, job, source, stream, key))
    except (LostLease, Cancelled, Draining, NotNow):
        raise
    except HeadraceError as exc:
        log.info("suspects_not_asked", error_code=exc.code, error=str(exc))
    if asked.absent or asked.found:
        log.info("suspects_asked", absent=len(asked.absent), found=len(asked.found))
    return asked


def _finds(engine: Engine, job: Job, source: Source, stream: Stream, seen: Iterable[str]) -> bool:
    for key in seen:
        answer = _single(engine, job, source, stream, key)
        if answer is not None and key in answer.page.keys:
            return True
    return False


def _single(engine: Engine, job: Job, source: Source, stream: Stream, key: str) -> Observed | None:
    """The answer for one record; None where the system can't be asked for it."""
    try:
        request = stream.single(key)
    except BadRecord:
        return None
    if request is None:
        return None
    at = job.run.now()
    response = engine.sender.send(job.context(source), request)
    return Observed(job.screened(stream.read_single(response, key)), at)


def _note(asked: Asked, key: str, answer: Observed | None) -> None:
    if answer is None:
        return
    if any(gone.key == key for gone in answer.page.gone):
        asked.absent[key] = answer.at
    elif key in answer.page.keys:
        asked.found.append(answer)
