"""What is the least that a sync can do? The bare loop: nothing but httpx, COPY and one upsert.

A thread fetches pages ahead into a queue of four; each page is decoded once, for keys and times; ten pages go by COPY
into a temporary table, from there by one upsert that leaves alone what has the same hash, and with the cursor they are
committed. No ledger, no fence, no limit, no retry, no log, no change that is noticed late.

It stores our columns under our indexes, in a table of its own that is made like `records` (or nothing but the JSON, with
`json`), so it runs in a database that is migrated. `serial` is the same without the thread. Runs as a process of its
own that syncs once for each line that it is sent: `bare` starts it.
"""

import argparse
import itertools
import json
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import psycopg
import xxhash
from psycopg.adapt import Dumper
from psycopg.pq import Format

from tests.bench.parts.synced import SyncProcess, sync_process

PAGES_PER_COPY = 10
AHEAD = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NEXT = b'"next_cursor":'


class _Record(msgspec.Struct, gc=False):
    id: int
    updated_at: datetime


class _Page(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    next_cursor: str | None = None


class _Json(bytes):
    """JSON as it came: needs no json.dumps."""

    __slots__ = ()


class _JsonDumper(Dumper):
    format = Format.BINARY
    oid = psycopg.adapters.types["json"].oid

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


class _Hash(bytes):
    __slots__ = ()


class _HashDumper(_JsonDumper):
    oid = psycopg.adapters.types["uuid"].oid


_page = msgspec.json.Decoder(_Page).decode
_record = msgspec.json.Decoder(_Record).decode

COLUMNS = ("key", "raw", "content_hash", "version", "source_updated_at")
COLUMN_TYPES = ("text", "json", "uuid", "int8", "timestamptz")
COLUMN_UPSERT = """
INSERT INTO {table} AS r (bucket, stream_id, key, raw, content_hash, version, observed_at, source_updated_at,
                          first_seen_at, cause_kind, cause_id, change_kind)
SELECT 1, 1, key, raw, content_hash, version, now(), source_updated_at, now(), 'run',
       '01900000-0000-7000-8000-000000000000', 'created'
  FROM {stage}
ON CONFLICT (bucket, stream_id, key) DO UPDATE
   SET raw = excluded.raw, content_hash = excluded.content_hash, version = excluded.version,
       observed_at = excluded.observed_at, source_updated_at = excluded.source_updated_at,
       change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq'), change_kind = 'updated'
 WHERE r.content_hash IS DISTINCT FROM excluded.content_hash"""

JSON_COLUMNS = ("id", "updated_at", "raw", "hash")
JSON_TYPES = ("int8", "timestamptz", "json", "int8")
JSON_UPSERT = """
INSERT INTO {table} AS r (id, updated_at, raw, hash) SELECT id, updated_at, raw, hash FROM {stage}
ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, raw = excluded.raw, hash = excluded.hash
 WHERE r.hash IS DISTINCT FROM excluded.hash"""


def _row(raw: bytes) -> tuple[Any, ...]:
    found = _record(raw)
    version = (found.updated_at - _EPOCH) // _MICROSECOND
    return str(found.id), _Json(raw), _Hash(xxhash.xxh3_128_digest(raw)), version, found.updated_at


def _json_row(raw: bytes) -> tuple[Any, ...]:
    found = _record(raw)
    return found.id, found.updated_at, _Json(raw), xxhash.xxh3_64_intdigest(raw) - (1 << 63)


@dataclass(frozen=True)
class Bare:
    """One stream, synced by the bare loop."""

    source: str
    database: str
    table: str = "work_orders"
    store: str = "columns"
    limit: int = 500
    serial: bool = False

    def prepare(self, connection: "psycopg.Connection[Any]") -> None:
        """The tables; the temporary one belongs to the connection."""
        for kind, dumper in ((_Json, _JsonDumper), (_Hash, _HashDumper)):
            connection.adapters.register_dumper(kind, dumper)
        rows = (
            "(LIKE records INCLUDING ALL)"
            if self.store == "columns"
            else "(id int8 PRIMARY KEY, updated_at timestamptz, raw json, hash int8)"
        )
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(*self._shape(), strict=True))
        for statement in (
            "CREATE SCHEMA IF NOT EXISTS bare",
            f"CREATE TABLE IF NOT EXISTS bare.{self.table} {rows}",
            "CREATE TABLE IF NOT EXISTS bare.cursors (stream text PRIMARY KEY, cursor text)",
            f"CREATE TEMPORARY TABLE stage ({columns}) ON COMMIT DELETE ROWS",
        ):
            connection.execute(statement)
        connection.commit()

    def sync(self, client: httpx.Client, connection: "psycopg.Connection[Any]") -> tuple[int, int]:
        """Once to the end; how many records were read and how many of them written."""
        found = connection.execute(
            "SELECT cursor FROM bare.cursors WHERE stream = %s", [self.table]
        ).fetchone()
        bodies = self._fetch(client, found[0] if found else None)
        pages = bodies if self.serial else _ahead(bodies)
        read = written = 0
        for page in pages:
            batch = itertools.chain([page], itertools.islice(pages, PAGES_PER_COPY - 1))
            counts = self._store(connection, batch)
            read, written = read + counts[0], written + counts[1]
        return read, written

    def _fetch(self, client: httpx.Client, since: str | None) -> Iterator[bytes]:
        params = {"limit": str(self.limit)} | ({"updated_since": since} if since else {})
        while True:
            body = client.get(f"{self.source}/work_orders", params=params).raise_for_status().content
            yield body
            # Read off the end of the page, before the page is decoded: that makes fetching ahead possible.
            cursor = json.loads(body[body.rfind(_NEXT) + len(_NEXT) : body.rfind(b',"next":')])
            if cursor is None:
                return
            params = {"limit": str(self.limit), "cursor": cursor}

    def _shape(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (COLUMNS, COLUMN_TYPES) if self.store == "columns" else (JSON_COLUMNS, JSON_TYPES)

    def _store(self, connection: "psycopg.Connection[Any]", bodies: Iterable[bytes]) -> tuple[int, int]:
        columns, types = self._shape()
        row = _row if self.store == "columns" else _json_row
        upsert = COLUMN_UPSERT if self.store == "columns" else JSON_UPSERT
        read, last = 0, None
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY stage ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(types)
                for body in bodies:
                    records = _page(body).data
                    read += len(records)
                    last = records[-1] if records else last
                    for raw in records:
                        copy.write_row(row(bytes(raw)))
            written = cursor.execute(upsert.format(table=f"bare.{self.table}", stage="stage")).rowcount
            if last is not None:
                cursor.execute(
                    "INSERT INTO bare.cursors VALUES (%s, %s)"
                    " ON CONFLICT (stream) DO UPDATE SET cursor = excluded.cursor",
                    (self.table, _record(last).updated_at.isoformat(timespec="milliseconds")),
                )
        connection.commit()
        return read, written


def _ahead(bodies: Iterator[bytes]) -> Iterator[bytes]:
    """The same, fetched by a thread while the last ones are worked on."""
    waiting: queue.Queue[bytes | Exception | None] = queue.Queue(AHEAD)

    def fetch() -> None:
        try:
            for body in bodies:
                waiting.put(body)
            waiting.put(None)
        except Exception as exc:  # noqa: BLE001 - raised where it is seen
            waiting.put(exc)

    threading.Thread(target=fetch, daemon=True).start()
    while (found := waiting.get()) is not None:
        if isinstance(found, Exception):
            raise found
        yield found


@contextmanager
def bare(
    source_url: str,
    database_url: str,
    *,
    table: str = "work_orders",
    store: str = "columns",
    limit: int = 500,
    serial: bool = False,
) -> Iterator[SyncProcess]:
    """A bare loop that is started and connected, and has not yet synced. `store`: `columns` (ours) or `json`."""
    program = [sys.executable, "-m", "tests.bench.parts.bare", source_url, table, store, str(limit)]
    with sync_process([*program, *(["--serial"] if serial else [])], database_url) as process:
        yield process


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("source")
    options.add_argument("table")
    options.add_argument("store", choices=["columns", "json"])
    options.add_argument("limit", type=int)
    options.add_argument("--serial", action="store_true")
    chosen = options.parse_args()
    loop = Bare(database=sys.stdin.readline().strip(), **vars(chosen))
    with psycopg.connect(loop.database) as connection, httpx.Client(timeout=60) as client:
        loop.prepare(connection)
        _answer({})
        for _ in sys.stdin:
            begun = time.perf_counter()
            read, written = loop.sync(client, connection)
            _answer({"seconds": time.perf_counter() - begun, "read": read, "written": written})


def _answer(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
