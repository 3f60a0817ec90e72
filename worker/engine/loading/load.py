"""How do pages get into the copy? In one transaction with the cursor that follows from them, under the run's fence.

Few records are one statement and one round trip. More are sifted first, by key and hash alone: what is unchanged is
neither sent nor locked, what is new goes straight in by COPY, what changed is staged and then merged. The statement that
moves the cursor and counts comes last, and refuses everything if the run was given to another worker. Repeating a
page changes nothing. A record that Postgres can't take is set aside with its reason, and its page is loaded without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from sqlalchemy.pool import PoolProxiedConnection

from worker.connectors.contract import Page
from worker.db.database import LOST_LEASE, Database, exceeds_limit, in_one_trip
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.engine.loading.batch import Batch
from worker.engine.loading.refused import find_refused, quarantine
from worker.engine.loading.rows import (
    gone_arrays,
    moved_arrays,
    new_rows,
    pack_time,
    row_arrays,
    staged_rows,
    teach_arrays,
)
from worker.engine.loading.sift import Sifted, Sifter, are_few, only
from worker.engine.planning.plan import Checkpoint
from worker.errors import Cancelled, LostLease
from worker.runs.claim import Run

MEETINGS = 5
"""How often two runs on one stream may be in each other's way before one of them gives up."""
_READY, _STAGING = "headrace_loading", "headrace_staging"


@dataclass(frozen=True, slots=True)
class Observed:
    """A page, and when it was asked for by the database's clock."""

    page: Page
    at: datetime


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a commit did."""

    created: int
    updated: int
    deleted: int
    refused: int
    rejected: int
    written: Sequence[str] = ()
    """The keys of what was written, or more: where many were staged, those that seemed to have changed."""


class Extra(Protocol):
    """Something that is written along with a page's records, in the same transaction: some streams want it."""

    def before(self, connection: "psycopg.Connection[DictRow]", run: Run, keys: Sequence[str]) -> None:
        """Before any record is written; `keys` are those of all that may be."""
        ...

    def after(self, connection: "psycopg.Connection[DictRow]", run: Run, keys: Sequence[str]) -> None:
        """After all of them: what this transaction wrote bears its number (`change_xid`)."""
        ...


class Note(Protocol):
    """What else a commit means: written in the same transaction, after its records, whether there are any or not."""

    def write(self, connection: "psycopg.Connection[DictRow]", run: Run) -> None:
        """Send it and wait for nothing: it may go along with others."""
        ...


class Loader:
    """Writes the pages of one run."""

    def __init__(
        self,
        database: Database,
        run: Run,
        *,
        lease: float,
        authoritative: bool = False,
        extras: Sequence[Extra] = (),
        notes: Sequence[Note] = (),
    ) -> None:
        """`authoritative`: what differs is written whatever its version, unless the copy holds what was seen later."""
        self._database = database
        self._run = run
        self._lease = lease
        self._cause = "event" if run.track == "events" else "run"
        self._authoritative = authoritative
        self._sql = {name: in_partition(getattr(sql, name), run.bucket) for name in _IN_PARTITION}
        self._sifter = Sifter(run, self._sql, authoritative=authoritative)
        self._extras = extras
        self._notes = notes
        self._pages = run.pages
        self._backend: int | None = None

    def turn_to(self, run: Run) -> None:
        """The same run, at another slice from here on: its pages move that one's cursor."""
        self._run = run

    def load(self, page: Page, checkpoint: Checkpoint, observed_at: datetime) -> Loaded:
        """Commit one page."""
        return self.load_pages([Observed(page, observed_at)], checkpoint)

    def load_pages(self, pages: Sequence[Observed], checkpoint: Checkpoint) -> Loaded:
        """Commit consecutive pages together. Raises `LostLease` or `Cancelled`, having committed nothing or all of it."""
        batch = Batch.of([(seen.page, pack_time(seen.at)) for seen in pages], first=self._pages + 1)
        row = self._commit(batch, checkpoint)
        while isinstance(row, psycopg.Error):
            batch = batch.without(find_refused(self._database, batch.rows, row), row)
            row = self._commit(batch, checkpoint)
        self._pages += batch.pages
        self._sifter.straight = True
        if row["cancelled"]:
            raise Cancelled(self._run.id)
        return Loaded(
            row["created"],
            row["updated"],
            row["deleted"],
            row["refused"],
            len(batch.rejected),
            row.get("keys") or (),
        )

    def _commit(self, batch: Batch, checkpoint: Checkpoint) -> DictRow | psycopg.Error:
        """Load and commit; what Postgres says where it doesn't take a record."""
        params = self._params(batch, checkpoint)
        met = 0
        while True:
            with self._database.pooled() as pooled:
                connection = cast("psycopg.Connection[DictRow]", pooled.driver_connection)
                try:
                    return self._write(pooled, connection, batch, params)
                except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
                    # Another run wrote one of these keys since we looked: look again, and go the way that can wait.
                    met += 1
                    self._sifter.met()
                    if met == MEETINGS:
                        raise
                except psycopg.Error as exc:
                    if exc.sqlstate == LOST_LEASE:
                        raise LostLease(self._run.id) from None
                    if isinstance(exc, psycopg.DataError) or exceeds_limit(exc):
                        return exc
                    raise

    def _write(
        self,
        pooled: PoolProxiedConnection,
        connection: "psycopg.Connection[DictRow]",
        batch: Batch,
        params: dict[str, Any],
    ) -> DictRow:
        if _READY not in pooled.info:
            connection.execute(sql.begin_loading)
            teach_arrays(connection)
            pooled.info[_READY] = True
        plain = not batch.rejected and not batch.gone and not (self._extras and batch.rows)
        sifted = self._sifter.first_look(connection, batch, plain=plain)
        params["refused"] = sifted.refused
        if not plain or sifted.new or sifted.moved or not are_few(sifted.changed):
            row = self._write_many(pooled, connection, batch, sifted, params)
            self._sifter.learn(row["updated"], of=len(batch.rows))
            return row
        if sifted.changed:
            return self._write_few(connection, self._sql["load_page"], params | row_arrays(sifted.changed))
        return self._write_few(connection, sql.checkpoint_page, params)

    def _write_few(
        self, connection: "psycopg.Connection[DictRow]", statement: str, params: dict[str, Any]
    ) -> DictRow:
        """One statement and one trip; what else it means goes along."""
        if not self._notes:
            return only(connection.execute(statement, params))
        with in_one_trip(connection):
            written = connection.execute(statement, params)
            for note in self._notes:
                note.write(connection, self._run)
        return only(written)

    def _write_many(
        self,
        pooled: PoolProxiedConnection,
        connection: "psycopg.Connection[DictRow]",
        batch: Batch,
        sifted: Sifted,
        params: dict[str, Any],
    ) -> DictRow:
        """Everything in one transaction; what moves the cursor, and lets go of what is locked, comes last."""
        self._note_backend(connection)
        if sifted.changed and _STAGING not in pooled.info:
            connection.execute(sql.create_staging)
            pooled.info[_STAGING] = True
        keys = sifted.keys(batch) if self._extras else ()
        with connection.transaction():
            if sifted.changed:
                _copy(connection, sql.copy_staged, staged_rows(sifted.changed))
            for rejected in batch.rejected_by_page():
                connection.execute(sql.quarantine_records, quarantine(self._run, *rejected))
            for extra in self._extras:
                extra.before(connection, self._run, keys)
            if sifted.new:
                run = self._run
                _copy(
                    connection,
                    self._sql["copy_new"],
                    new_rows(
                        sifted.new, bucket=run.bucket, stream=run.stream_id, cause=self._cause, run=run.id
                    ),
                )
            counts: dict[str, int] = {"created": len(sifted.new)}
            moved = sifted.moved
            if sifted.changed:
                merged = only(connection.execute(self._sql["merge_staged"], params))
                counts = merged | {"created": merged["created"] + len(sifted.new)}
                if not sifted.looked and sum(merged.values()) < len(sifted.changed):
                    # Some were left alone: as unchanged, or as older than what the copy holds?
                    again = self._sifter.sift(connection, sifted.changed)
                    counts["refused"], moved = again.refused, again.moved
            if moved:
                connection.execute(self._sql["move_on"], params | moved_arrays(moved))
            buried = self._bury(connection, batch, params)
            counts["deleted"] = counts.get("deleted", 0) + len(buried)
            for extra in self._extras:
                extra.after(connection, self._run, keys)
            row = self._end_many(connection, params | counts)
        row["keys"] = [record.key for rows in (sifted.new, sifted.changed) for record, _ in rows] + buried
        return row

    def _end_many(self, connection: "psycopg.Connection[DictRow]", params: dict[str, Any]) -> DictRow:
        for note in self._notes:
            note.write(connection, self._run)
        return only(connection.execute(sql.checkpoint_page, params))

    def _bury(
        self, connection: "psycopg.Connection[DictRow]", batch: Batch, params: dict[str, Any]
    ) -> list[str]:
        """Make tombstones of what is gone without its record having come; the keys of those that were there."""
        if not batch.gone:
            return []
        buried = connection.execute(self._sql["bury_records"], params | gone_arrays(batch.gone))
        return [row["key"] for row in buried]

    def _note_backend(self, connection: "psycopg.Connection[DictRow]") -> None:
        """Say which backend loads, before it can hold anything for longer than a statement."""
        backend = connection.info.backend_pid
        if backend == self._backend:
            return
        noted = connection.execute(
            sql.note_backend, {"run": self._run.id, "claim": self._run.claim_no}
        ).fetchone()
        if noted is None:
            raise LostLease(self._run.id)
        self._backend = backend

    def _params(self, batch: Batch, checkpoint: Checkpoint) -> dict[str, Any]:
        return {
            "run": self._run.id,
            "claim": self._run.claim_no,
            "lease": self._lease,
            "bucket": self._run.bucket,
            "stream": self._run.stream_id,
            "cause": self._cause,
            "track": self._run.track,
            "slice": self._run.cursor.slice,
            "authoritative": self._authoritative,
            "window_since": _json(checkpoint.since),
            "window_until": _json(checkpoint.until),
            "position": _json(checkpoint.position),
            "watermark": _json(checkpoint.watermark),
            "finished": checkpoint.finished,
            "pages": batch.pages,
            "read": batch.read,
            "rejected": len(batch.rejected),
            "total": batch.total,
            "created": 0,
            "updated": 0,
            "deleted": 0,
            "refused": 0,
        }


_IN_PARTITION = (
    "has_records",
    "sift_records",
    "move_on",
    "copy_new",
    "merge_staged",
    "bury_records",
    "load_page",
)


def _copy(connection: "psycopg.Connection[DictRow]", statement: str, chunks: Any) -> None:
    with connection.cursor().copy(statement) as copy:
        for chunk in chunks:
            copy.write(chunk)


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)
