"""What does a record cost by the size of its page: new, unchanged and changed?

The loader alone, page by page, against the bare staging of the same rows (COPY, one upsert, commit) with our columns under
our indexes on the same Postgres. It keeps no cursor, no fence and no counts. In the end both tables must hold the same.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import xxhash

from tests.bench.parts.bare import COLUMN_UPSERT
from tests.bench.parts.line import Line
from tests.bench.parts.servers import fresh_database, own_postgres
from worker.connectors.contract import Page, Record
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.engine.loading.load import Loader
from worker.engine.loading.rows import pack_time, staged_rows
from worker.engine.planning.plan import Checkpoint
from worker.runs.claim import claim_run
from worker.runs.request import request_run
from worker.runs.states import Lane

FULL_ONLY = True

SIZES: tuple[tuple[int, int], ...] = ((1, 300), (50, 60), (500, 20), (5000, 4))
"""Records a page, and pages."""
NEXT = Checkpoint(since=None, until=None, position={"page": {"cursor": "c"}}, watermark=None, finished=False)
CHANGED_AT = datetime(2026, 1, 1, tzinfo=UTC)
STAGE = """CREATE TEMP TABLE stage (key text, raw json, content_hash uuid, version int8, source_updated_at timestamptz,
    observed_at timestamptz, deleted bool) ON COMMIT DELETE ROWS"""
Load = Callable[[list[Record]], object]


def run(full: bool) -> Iterator[Line]:
    rounds = 3 if full else 1
    with own_postgres() as postgres, fresh_database(postgres) as url:
        database = Database(url, name="bench", pool=2)
        migrate(database)
        with psycopg.connect(url) as connection:
            for number, (size, pages) in enumerate(SIZES):
                yield from _compare(
                    size, pages, rounds, loader_of(database, number), bare_of(connection, number)
                )
        _check(database)
        database.close()


def _compare(size: int, pages: int, rounds: int, ours: Load, bare: Load) -> Iterator[Line]:
    took: dict[str, tuple[list[float], list[float]]] = {}
    for round_ in range(rounds):
        for what, version in (("new", 1), ("unchanged", 1), ("changed", 2)):
            work = [_records(range(at * size, (at + 1) * size), version)
                    for at in range(round_ * pages, (round_ + 1) * pages)]  # fmt: skip
            mine, theirs = took.setdefault(what, ([], []))
            mine.append(_timed(ours, work) / size * 1e6)
            theirs.append(_timed(bare, work) / size * 1e6)
    for what, (mine, theirs) in took.items():
        yield Line(
            f"load a record, {what}, page of {size:,}",
            sorted(mine)[rounds // 2],
            sorted(theirs)[rounds // 2],
            "us",
            "",
            None,
            "COPY, upsert, commit",
            tuple(mine),
            tuple(theirs),
        )


def _records(numbers: range, version: int) -> list[Record]:
    found = []
    for number in numbers:
        raw = json.dumps({"id": number, "version": version, "text": "x" * 950}).encode()
        found.append(Record(str(number), raw, xxhash.xxh3_128_digest(raw), version, None, CHANGED_AT))
    return found


def _timed(load: Load, work: list[list[Record]]) -> float:
    begun = time.perf_counter()
    for records in work:
        load(records)
    return (time.perf_counter() - begun) / len(work)


def loader_of(database: Database, number: int) -> Load:
    """Ours, on a stream of its own."""
    with database.transaction() as tx:
        made = tx.execute(
            "WITH c AS (INSERT INTO connections (name, system) VALUES (%s, 'bench') RETURNING id)"
            " INSERT INTO streams (connection_id, name, bucket, schedule) SELECT id, 's', %s, '{}' FROM c RETURNING id",
            (f"bench-{number}", number),
        ).fetchone()
        assert made is not None
        asked = request_run(
            tx, stream_id=made["id"], system="bench", lane=Lane.ON_DEMAND, cause="cli", request_id="bench"
        )
    run_ = claim_run(database, asked.id, worker="bench", lease=3600)
    assert run_ is not None
    loader = Loader(database, run_, lease=3600)
    return lambda records: loader.load(Page(records), NEXT, run_.now())


def bare_of(connection: "psycopg.Connection[Any]", number: int) -> Load:
    table = f"bare_{number}"
    connection.execute(f"CREATE TABLE {table} (LIKE records INCLUDING ALL)")
    if number == 0:
        connection.execute(STAGE)
    connection.commit()
    upsert = COLUMN_UPSERT.format(table=table, stage="stage")

    def load(records: list[Record]) -> None:
        now = pack_time(datetime.now(UTC))
        with connection.cursor() as cursor:
            with cursor.copy("COPY stage FROM STDIN (FORMAT BINARY)") as copy:
                for chunk in staged_rows([(record, now) for record in records]):
                    copy.write(chunk)
            cursor.execute(upsert)
        connection.commit()

    return load


def _check(database: Database) -> None:
    for number in range(len(SIZES)):
        row = database.one(
            f"SELECT count(*) AS n FROM (SELECT key, raw::text FROM records WHERE bucket = {number}"
            f" EXCEPT SELECT key, raw::text FROM bare_{number}) d"
        )
        if row is None or row["n"]:
            raise RuntimeError(f"Our copy and the bare one differ: {row}")
