"""What becomes of records that came whole? They are loaded as what they were at the time that the system says.

That is the copy's own rule: a greater version wins, or a later look. Where neither is said, the order in which webhooks
arrive says nothing, so the system is asked where it can be; and so it is where the copy has seen the record go since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from worker.connectors.contract import Page, Record, Stream
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.events.coalesce import Event, Work
from worker.engine.events.commit import Commits
from worker.engine.events.ledger import Mark, PutOff
from worker.engine.job import Job
from worker.engine.loading.load import Observed
from worker.engine.port import Engine

_UNKNOWN = -(2**63)


@dataclass(frozen=True, slots=True)
class _Told:
    """A record that came whole, and what may be kept of it."""

    event: Event
    page: Page
    at: datetime

    @property
    def record(self) -> Record | None:
        return self.page.records[0] if self.page.records else None

    @property
    def order(self) -> tuple[int, datetime, bytes]:
        version = self.record.version if self.record else None
        return (_UNKNOWN if version is None else version, self.at, self.event.id.bytes)


def take_whole(
    engine: Engine, job: Job, stream: Stream, commits: Commits, works: Sequence[Work], *, askable: bool
) -> list[Work]:
    """Load what can be taken at its word; the rest, which is to be asked for."""
    if not works:
        return []
    gone = _gone(engine, job, [work.key for work in works if work.key is not None])
    to_ask: list[Work] = []
    loads: list[tuple[Observed, Mark]] = []
    settled: list[Mark] = []
    refused: list[PutOff] = []
    for work in works:
        told = _newest(job, stream, work)
        record = told.record
        is_past = work.key in gone and gone[work.key] >= told.at
        is_timed = record is not None and (record.version is not None or told.event.said_at is not None)
        if askable and (is_past or not is_timed):
            to_ask.append(replace(work, how="ask"))
        elif record is not None and not is_past:
            page = Page([record])
            loads.append((Observed(page, told.at), Mark(work.events, record.key, record.digest)))
        elif record is not None:
            settled.append(Mark(work.events, work.key, outcome="older"))
        else:
            loads.append((Observed(told.page, told.at), Mark([])))
            refused.append(PutOff(work.events, _why(told.page), final=True))
    commits.load(loads)
    commits.settle(settled)
    commits.put_off(refused)
    return to_ask


def _newest(job: Job, stream: Stream, work: Work) -> _Told:
    listed = [_told(job, stream, work, event) for event in work.events if event.record is not None]
    readable = [told for told in listed if told.record is not None]
    return max(readable or listed, key=lambda told: told.order)


def _told(job: Job, stream: Stream, work: Work, event: Event) -> _Told:
    assert event.record is not None  # noqa: S101 - those are left out
    page = stream.parse([event.record])
    page.records = [record for record in page.records if record.key == work.key]
    return _Told(event, job.screened(page), event.at(job.run.clock_skew))


def _gone(engine: Engine, job: Job, keys: Sequence[str]) -> Mapping[str | None, datetime]:
    """Those that the copy has seen go, and when."""
    place = {"bucket": job.run.bucket, "stream": job.run.stream_id, "keys": keys}
    rows = engine.database.all(in_partition(sql.copy_before, job.run.bucket), place)
    return {row["key"]: row["observed_at"] for row in rows if row["deleted"]}


def _why(page: Page) -> str:
    if page.rejected:
        return f"{page.rejected[0].code}: {page.rejected[0].reason}"
    return "The record that came is another than the one that was told of."
