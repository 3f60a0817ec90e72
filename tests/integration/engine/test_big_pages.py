"""A page of 100 MB, or of one record of 20 MB, neither kills nor starves the worker that reads it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from servers.systems.scripted import Asked, Said, Scripted, scripted_source

from worker.db.database import Database
from worker.runs.request import request_run
from worker.runs.states import Lane

pytestmark = pytest.mark.integration

MEGABYTE = 1024 * 1024
RECORD = 1024
RECORDS = 100 * MEGABYTE // RECORD
GIANT = 20 * MEGABYTE
SMALL = b'{"items":[{"id":1},{"id":2},{"id":3}]}'
MANIFEST = """\
manifest: 1
system: big
title: Big
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
defaults: {records: items, key: id}
streams:
  many: {path: /many}
  giant: {path: /giant}
  small: {path: /small}
"""


def many() -> bytes:
    """100 MB in records of 1 kB."""
    filler = b"x" * (RECORD - 26)
    return b'{"items":[' + b",".join(b'{"id":%9d,"text":"%b"}' % (n, filler) for n in range(RECORDS)) + b"]}"


@dataclass
class Bench:
    """A system with big pages and the process that reads them."""

    database: Database
    broker: str
    connectors: Path
    source: Scripted
    url: str

    def stream(self, connection: str, name: str) -> int:
        with self.database.transaction() as tx:
            row = tx.execute(
                "WITH c AS (INSERT INTO connections (name, system, settings) VALUES (%s, 'big', %s) RETURNING id)"
                " INSERT INTO streams (connection_id, name, bucket, schedule)"
                " SELECT id, %s, 3, '{\"every\": 60}' FROM c RETURNING id",
                (connection, Jsonb({"base_url": self.source.base_url}), name),
            ).fetchone()
        assert row is not None
        return int(row["id"])

    def request(self, stream: int) -> UUID:
        with self.database.transaction() as tx:
            return request_run(
                tx, stream_id=stream, system="big", lane=Lane.ON_DEMAND, cause="cli", request_id="big"
            ).id

    def carry_out(self, *runs: UUID) -> dict[str, Any]:
        """In a process of its own, beside small runs; what that took."""
        child = Path(__file__).with_name("big_pages_child.py")
        chosen = ",".join(map(str, runs))
        small = str(self.stream("beside", "small"))
        done = subprocess.run(
            [sys.executable, str(child), self.url, self.broker, str(self.connectors), chosen, small],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={**os.environ, "HEADRACE_LOG_LEVEL": "WARNING"},
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def states(self) -> dict[str, int]:
        rows = self.database.all(
            "SELECT state, count(*) AS n FROM (SELECT state, request_id FROM run_history"
            " UNION ALL SELECT state, request_id FROM runs) r WHERE request_id = 'big' GROUP BY state"
        )
        return {row["state"]: row["n"] for row in rows}

    def bytes_of(self, stream: int) -> tuple[int, int]:
        row = self.database.one(
            "SELECT count(*) AS n, coalesce(sum(length(raw::text)), 0) AS bytes FROM records WHERE stream_id = %(s)s",
            {"s": stream},
        )
        assert row is not None
        return row["n"], int(row["bytes"])


@pytest.fixture
def bench(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Bench]:
    manifest = tmp_path / "connectors" / "big" / "manifest.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(MANIFEST)
    bodies = {
        "/many": many(),
        "/giant": b'{"items":[{"id":1,"text":"%b"}]}' % (b"y" * GIANT),
        "/small": SMALL,
    }

    def script(asked: Asked) -> Said:
        return Said(bodies[asked.path])

    database = Database(database_url, name="test", pool=2)
    with scripted_source(script) as source:
        yield Bench(database, broker_url, tmp_path / "connectors", source, database_url)
    database.close()


def test_two_pages_of_100_mb_and_a_record_of_20_mb_come_in_beside_small_runs(bench: Bench) -> None:
    one, other = bench.stream("one", "many"), bench.stream("other", "many")
    giant = bench.stream("giant", "giant")
    took = bench.carry_out(*(bench.request(stream) for stream in (one, other, giant)))

    assert bench.states() == {"succeeded": 3}
    for stream in (one, other):
        assert bench.bytes_of(stream)[0] == RECORDS
    count, size = bench.bytes_of(giant)
    assert count == 1
    assert size > GIANT
    # Two and a half times what may be in memory at once: one large page, and the other only once that is loaded.
    assert took["peak"] - took["before"] <= 2.5 * 120
    assert len(took["beside"]) >= 5, "small runs had to wait for the big ones"
    assert max(took["beside"]) < 8, "a small run stood still for as long as a lease lasts"
