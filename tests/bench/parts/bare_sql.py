"""What is the least that a copy of a table can do? A cursor of the server, JSON made by Postgres, COPY and one upsert.

Rows come 5,000 at a time, each with its hash, and go by COPY into a temporary table and from there by the upsert of the
bare loop into our columns under our indexes. Nothing is read ahead. Runs as a process of its own that copies once for each
line that it is sent.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import xxhash
from psycopg.adapt import Dumper
from psycopg.pq import Format

from tests.bench.parts.bare import COLUMN_TYPES, COLUMN_UPSERT, COLUMNS

ROWS = 5000
TABLE = "bare.rows_of_sql"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READ = "SELECT id::text, updated_at, row_to_json(o)::text FROM work_orders o ORDER BY id"


class _Json(bytes):
    __slots__ = ()


class _Hash(bytes):
    __slots__ = ()


class _JsonDumper(Dumper):
    format = Format.BINARY
    oid = psycopg.adapters.types["json"].oid

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


class _HashDumper(_JsonDumper):
    oid = psycopg.adapters.types["uuid"].oid


def _prepare(into: "psycopg.Connection[Any]") -> None:
    into.adapters.register_dumper(_Json, _JsonDumper)
    into.adapters.register_dumper(_Hash, _HashDumper)
    stage = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, COLUMN_TYPES, strict=True))
    into.execute("CREATE SCHEMA IF NOT EXISTS bare")
    into.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (LIKE records INCLUDING ALL)")
    into.execute(f"CREATE TEMPORARY TABLE stage ({stage}) ON COMMIT DELETE ROWS")
    into.commit()


def _copy(source: "psycopg.Connection[Any]", into: "psycopg.Connection[Any]") -> int:
    written = 0
    with source.cursor("rows") as rows:
        rows.execute(_READ)
        while found := rows.fetchmany(ROWS):
            with into.cursor() as cursor:
                with cursor.copy(f"COPY stage ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(COLUMN_TYPES)
                    for key, at, text in found:
                        raw = text.encode()
                        version = (at - _EPOCH) // timedelta(microseconds=1)
                        copy.write_row((key, _Json(raw), _Hash(xxhash.xxh3_128_digest(raw)), version, at))
                written += cursor.execute(COLUMN_UPSERT.format(table=TABLE, stage="stage")).rowcount
            into.commit()
    source.rollback()
    return written


def main() -> None:
    with psycopg.connect(sys.argv[1]) as source, psycopg.connect(sys.stdin.readline().strip()) as into:
        _prepare(into)
        _answer({})
        for _ in sys.stdin:
            begun = time.perf_counter()
            written = _copy(source, into)
            _answer({"seconds": time.perf_counter() - begun, "read": written, "written": written})


def _answer(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
