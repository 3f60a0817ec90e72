"""A ledger with one connection, and runs that need no system: pages come from the test's hand."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import xxhash
from psycopg.rows import DictRow

from worker.connectors.contract import Page, Record
from worker.db.database import Database
from worker.engine.loading.load import Loaded, Loader
from worker.engine.loading.sift import FEW
from worker.engine.planning.plan import Checkpoint
from worker.runs.claim import Run, claim_run
from worker.runs.request import Requested, request_run
from worker.runs.states import Lane

LEASE = 30.0
NEXT = Checkpoint(since=None, until=None, position={"page": {"cursor": "2"}}, watermark=None, finished=False)


@dataclass
class Ledger:
    database: Database
    stream: int
    other: int

    def request(self, lane: Lane = Lane.ON_DEMAND, *, stream: int | None = None, **more: Any) -> Requested:
        with self.database.transaction() as connection:
            return request_run(
                connection,
                stream_id=stream or self.stream,
                system="demo",
                lane=lane,
                cause="cli",
                request_id="r-1",
                **more,
            )

    def claim(self, run_id: UUID, *, lease: float = LEASE) -> Run | None:
        return claim_run(self.database, run_id, worker="here:1", lease=lease)

    def claimed(self, *, lease: float = LEASE, **more: Any) -> Run:
        run = self.claim(self.request(**more).id, lease=lease)
        assert run is not None
        return run

    def load(self, run: Run, *records: Record, at: datetime | None = None, **more: Any) -> Loaded:
        page = Page(list(records), **more)
        return Loader(self.database, run, lease=LEASE).load(page, NEXT, at or run.now())

    def open_run(self, run_id: UUID) -> DictRow | None:
        return self.database.one("SELECT * FROM runs WHERE id = %(id)s", {"id": run_id})

    def ended(self, run_id: UUID) -> DictRow | None:
        return self.database.one("SELECT * FROM run_history WHERE id = %(id)s", {"id": run_id})

    def rows(self) -> dict[str, DictRow]:
        found = self.database.all(
            "SELECT *, raw::text AS text, change_xid::text AS xid FROM records WHERE stream_id = %(s)s",
            {"s": self.stream},
        )
        return {row["key"]: row for row in found}

    def lapse(self, run_id: UUID) -> None:
        """As if the lease were over at this moment."""
        self.database.run("UPDATE runs SET lease_until = now() WHERE id = %(id)s", {"id": run_id})


def record(key: str, text: str = "{}", *, version: int | None = None, deleted: bool = False) -> Record:
    raw = text.encode()
    return Record(
        key,
        raw,
        xxhash.xxh3_128_digest(raw),
        version=version,
        updated_at=datetime(2026, 11, 1, tzinfo=UTC),
        deleted=deleted,
    )


def many(text: str = "{}", *, version: int | None = None) -> list[Record]:
    """So many records that they don't go in one statement."""
    return [record(f"m{number:03}", text, version=version) for number in range(FEW + 1)]


def new_ledger(database: Database) -> Ledger:
    """One connection with two streams, and nothing else."""
    with database.transaction() as connection:
        row = connection.execute(
            "INSERT INTO connections (name, system) VALUES ('plant', 'demo') RETURNING id"
        ).fetchone()
        assert row is not None
        streams = [
            connection.execute(
                "INSERT INTO streams (connection_id, name, bucket, schedule) VALUES (%s, %s, 1, %s) RETURNING id",
                (row["id"], name, '{"every": 900}'),
            ).fetchone()
            for name in ("work_orders", "parts")
        ]
    first, second = (stream["id"] for stream in streams if stream is not None)
    return Ledger(database, first, second)
