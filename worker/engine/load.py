"""How does a page get into the copy? In one transaction with the cursor that follows from it, under the run's fence.

Rows are staged first, while nothing shared is locked; then one statement writes what is new or changed, moves the
cursor, counts, and refuses everything if the run was given to another worker. Repeating a page changes nothing.
A record that Postgres can't take is set aside with its reason, and the page is loaded without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import psycopg
import xxhash
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from sqlalchemy.pool import PoolProxiedConnection

from worker.connectors.contract import Page, Record, Rejected
from worker.db.database import LOST_LEASE, Database, exceeds_limit
from worker.db.queries import sql
from worker.db.words import storable
from worker.engine.plan import Checkpoint
from worker.engine.rows import pack_rows
from worker.errors import Cancelled, LostLease
from worker.runs.claim import Run

REJECTED_RAW = 256 * 1024
REASON_WORDS = 1000
_STAGING = "headrace_staging"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a page's commit did."""

    created: int
    updated: int
    deleted: int
    refused: int
    rejected: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """One commit's worth: a page, or what is left of it."""

    records: Sequence[Record]
    rejected: Sequence[Rejected]
    total: int | None
    checkpoint: Checkpoint
    observed_at: datetime


class Loader:
    """Writes the pages of one run."""

    def __init__(self, database: Database, run: Run, *, lease: float) -> None:
        self._database = database
        self._run = run
        self._lease = lease
        self._pages = run.pages
        self._backend: int | None = None

    def load(self, page: Page, checkpoint: Checkpoint, observed_at: datetime) -> Loaded:
        """Commit a page. Raises `LostLease` or `Cancelled`, having committed nothing or all of it respectively."""
        batch = _Batch(once_each(page.records), page.rejected, page.total, checkpoint, observed_at)
        while True:
            try:
                with self._database.pooled() as pooled:
                    row = self._commit(pooled, batch)
                break
            except psycopg.Error as exc:
                if exc.sqlstate == LOST_LEASE:
                    raise LostLease(self._run.id) from None
                batch = self._without_broken(batch, exc)
        self._pages += 1
        if row["cancelled"]:
            raise Cancelled(self._run.id)
        return Loaded(row["created"], row["updated"], row["deleted"], row["refused"], len(batch.rejected))

    def _commit(self, pooled: PoolProxiedConnection, batch: _Batch) -> DictRow:
        connection = cast("psycopg.Connection[DictRow]", pooled.driver_connection)
        params = self._params(batch)
        if not batch.records and not batch.rejected:
            return _only(connection.execute(sql.checkpoint_page, params))
        self._prepare(pooled, connection)
        with connection.transaction():
            if batch.records:
                with connection.cursor().copy(sql.copy_staged) as copy:
                    copy.write(pack_rows(batch.records))
            if batch.rejected:
                connection.execute(
                    sql.quarantine_records, _quarantine(self._run, self._pages + 1, batch.rejected)
                )
            # Planned each time: a plan made while the table was empty would be wrong for a full one.
            statement = sql.load_page if batch.records else sql.checkpoint_page
            return _only(connection.execute(statement, params, prepare=False))

    def _prepare(self, pooled: PoolProxiedConnection, connection: psycopg.Connection[DictRow]) -> None:
        """Make the staging table, once a connection; say which backend loads, before it can hold anything."""
        if _STAGING not in pooled.info:
            connection.execute(sql.create_staging)
            pooled.info[_STAGING] = True
        backend = connection.info.backend_pid
        if backend == self._backend:
            return
        row = connection.execute(
            sql.note_backend, {"run": self._run.id, "claim": self._run.claim_no}
        ).fetchone()
        if row is None:
            raise LostLease(self._run.id)
        self._backend = backend

    def _params(self, batch: _Batch) -> dict[str, Any]:
        checkpoint = batch.checkpoint
        return {
            "run": self._run.id,
            "claim": self._run.claim_no,
            "lease": self._lease,
            "bucket": self._run.bucket,
            "stream": self._run.stream_id,
            "track": self._run.track,
            "observed_at": batch.observed_at,
            "window_since": _json(checkpoint.since),
            "window_until": _json(checkpoint.until),
            "position": _json(checkpoint.position),
            "watermark": _json(checkpoint.watermark),
            "finished": checkpoint.finished,
            "pages": 1,
            "read": len(batch.records) + len(batch.rejected),
            "rejected": len(batch.rejected),
            "total": batch.total,
        }

    def _without_broken(self, batch: _Batch, refusal: psycopg.Error) -> _Batch:
        """The page without what Postgres refuses; the refusal itself where no record is to blame."""
        if not isinstance(refusal, psycopg.DataError) and not exceeds_limit(refusal):
            raise refusal
        broken = self._find_broken(batch.records)
        if not broken:
            raise refusal
        words = str(refusal).split("\n")[0]
        refused = [
            Rejected(record.raw, "refused_by_postgres", words, record.key)
            for place, record in enumerate(batch.records)
            if place in broken
        ]
        left = [record for place, record in enumerate(batch.records) if place not in broken]
        return replace(batch, records=left, rejected=[*batch.rejected, *refused])

    def _find_broken(self, records: Sequence[Record]) -> set[int]:
        try:
            raws = [record.raw.decode() for record in records]
            return {row["place"] for row in self._database.all(sql.broken_records, {"raws": raws})}
        except psycopg.Error:
            return {place for place, record in enumerate(records) if not self._takes(record)}

    def _takes(self, record: Record) -> bool:
        """Ask for one record alone: nesting too deep ends the statement that asks, too."""
        try:
            self._database.all(sql.takes_record, {"raw": record.raw.decode(), "key": record.key})
        except psycopg.Error:
            return False
        return True


def once_each(records: Sequence[Record]) -> list[Record]:
    """Pages that shift may name a record twice: its greatest version stays, and where that can't tell, its last word."""
    latest: dict[str, Record] = {}
    for record in records:
        before = latest.get(record.key)
        if before is None or not _newer(before, record):
            latest[record.key] = record
    return list(latest.values())


def _newer(one: Record, other: Record) -> bool:
    return one.version is not None and other.version is not None and one.version > other.version


def _only(cursor: psycopg.Cursor[DictRow]) -> DictRow:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement always answers with one row
    return row


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _quarantine(run: Run, page: int, rejected: Sequence[Rejected]) -> dict[str, Any]:
    once = {xxhash.xxh3_128_digest(bad.raw): bad for bad in rejected}
    return {
        "stream": run.stream_id,
        "run": run.id,
        "page": page,
        "hashes": [UUID(bytes=digest) for digest in once],
        "keys": [None if bad.key is None else storable(bad.key) for bad in once.values()],
        "codes": [bad.code for bad in once.values()],
        "reasons": [storable(bad.reason)[:REASON_WORDS] for bad in once.values()],
        "raws": [bad.raw[:REJECTED_RAW] for bad in once.values()],
    }
