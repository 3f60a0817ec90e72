"""What does a page cost to load, against the bare loop that stores the same columns under the same index?

Prints milliseconds a page of 500 records of 1 kB, the bare loop's in the same run, and their ratio: for pages that are
new, unchanged, and changed. The bare loop stages by COPY and upserts; it keeps no cursor, no fence and no change feed.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import xxhash

from scheduler.embedded.postgres.server import EmbeddedPostgres
from worker.connectors.contract import Page, Record
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.engine.load import Loader
from worker.engine.plan import Checkpoint
from worker.engine.rows import pack_rows
from worker.runs.claim import claim_run
from worker.runs.request import request_run
from worker.runs.states import Lane

SIZE, PAGES, ROUNDS = 500, 40, 3
NEXT = Checkpoint(since=None, until=None, position={"page": {"cursor": "c"}}, watermark=None, finished=False)
CHANGED_AT = datetime(2026, 1, 1, tzinfo=UTC)

BARE_TABLE = """CREATE TABLE bare (
    bucket int2, stream_id int8, key text, raw json, content_hash uuid, version int8, source_updated_at timestamptz,
    seen_at timestamptz, PRIMARY KEY (bucket, stream_id, key)); CREATE INDEX ON bare (seen_at, version);
    CREATE TEMP TABLE stage (key text, raw json, content_hash uuid, version int8, t timestamptz, deleted bool)"""
BARE_UPSERT = """INSERT INTO bare AS b SELECT 1, 1, key, raw, content_hash, version, t, now() FROM stage
    ON CONFLICT (bucket, stream_id, key) DO UPDATE SET raw = excluded.raw, content_hash = excluded.content_hash,
    version = excluded.version, seen_at = excluded.seen_at WHERE b.content_hash <> excluded.content_hash"""


def pages(round_: int, version: int) -> list[list[Record]]:
    return [list(_records(round_ * PAGES + number, version)) for number in range(PAGES)]


def _records(page: int, version: int) -> Iterator[Record]:
    for number in range(page * SIZE, (page + 1) * SIZE):
        raw = json.dumps({"id": number, "version": version, "text": "x" * 950}).encode()
        yield Record(str(number), raw, xxhash.xxh3_128_digest(raw), version=version, updated_at=CHANGED_AT)


def loader_of(database: Database) -> Callable[[list[Record]], None]:
    with database.transaction() as tx:
        connection = tx.execute(
            "INSERT INTO connections (name, system) VALUES ('bench', 'demo') RETURNING id"
        ).fetchone()
        assert connection is not None
        stream = tx.execute(
            "INSERT INTO streams (connection_id, name, bucket, schedule) VALUES (%s, 's', 1, '{}') RETURNING id",
            (connection["id"],),
        ).fetchone()
        assert stream is not None
        requested = request_run(
            tx, stream_id=stream["id"], system="demo", lane=Lane.ON_DEMAND, cause="cli", request_id="bench"
        )
    run = claim_run(database, requested.id, worker="bench", lease=3600)
    assert run is not None
    loader = Loader(database, run, lease=3600)
    return lambda records: _nothing(loader.load(Page(records), NEXT, run.now()))


def _nothing(_: object) -> None:
    return None


def bare_of(connection: "psycopg.Connection[tuple[object, ...]]") -> Callable[[list[Record]], None]:
    connection.execute(BARE_TABLE)

    def load(records: list[Record]) -> None:
        with connection.transaction():
            connection.execute("TRUNCATE stage")
            with connection.cursor().copy("COPY stage FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(pack_rows(records))
            connection.execute(BARE_UPSERT)

    return load


def timed(load: Callable[[list[Record]], None], work: list[list[Record]]) -> float:
    begun = time.perf_counter()
    for records in work:
        load(records)
    return (time.perf_counter() - begun) / len(work) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            database = Database(server.url, name="bench", pool=2)
            migrate(database)
            with psycopg.connect(server.url, autocommit=True) as connection:
                compare(loader_of(database), bare_of(connection))
            database.close()
        finally:
            server.stop()


def compare(ours: Callable[[list[Record]], None], bare: Callable[[list[Record]], None]) -> None:
    figures: dict[str, list[tuple[float, float]]] = {}
    for round_ in range(ROUNDS):
        for what, version in (("new", 1), ("unchanged", 1), ("changed", 2)):
            work = pages(round_, version)
            figures.setdefault(what, []).append((timed(ours, work), timed(bare, work)))
    for what, found in figures.items():
        mine, theirs = (sorted(column)[ROUNDS // 2] for column in zip(*found, strict=True))
        print(f"load, {what:9}: {mine:6.2f} ms a page, bare loop {theirs:6.2f} ms, ratio {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
