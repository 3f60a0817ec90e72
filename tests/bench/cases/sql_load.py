"""How long does the first load of a table of Postgres take, through the system `sql`?

A real run in a worker process as users start it, against a cursor, COPY and one upsert with our columns under our indexes,
turn by turn on one Postgres that holds the source, too. Copies are compared with the table, row by row.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from tests.bench.cases.first_load import postgres_cpu
from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import checkpoint, fresh_database, own_postgres, own_valkey
from tests.bench.parts.synced import sync_process
from tests.bench.parts.world import World, world

RECORDS, SHORT = 200_000, 100_000
ROUNDS, SHORT_ROUNDS = 5, 2
NOTE = "a cursor, COPY and one upsert, same columns and indexes"
STREAM = {
    "table": "public.work_orders",
    "key": "id",
    "version": "updated_at",
    "incremental": {"field": "updated_at"},
}
_ROWS = """
CREATE TABLE work_orders AS
SELECT i AS id, 'WO-' || i AS number, 'open' AS status, (i % 100000)::numeric(12, 2) / 7 AS cost, i % 50 AS site,
       repeat(md5(i::text), 24) AS notes, jsonb_build_object('a', i, 'b', array[i, i + 1]) AS extra,
       timestamptz '2020-01-01' + i * interval '1 minute' AS updated_at
  FROM generate_series(1, %s) i
"""


@dataclass
class Taken:
    """What the loads of one contender took."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def run(full: bool) -> Iterator[Line]:
    records = RECORDS if full else SHORT
    ours, bare = Taken(), Taken()
    with own_postgres() as postgres, own_valkey() as valkey, fresh_database(postgres) as source:
        _fill(source, records)
        for _ in range(ROUNDS if full else SHORT_ROUNDS):
            with world(postgres, valkey) as own:
                _bare(own, source, bare, records)
                _ours(own, source, ours, records)
    what = f"first load of a table of {records:,} rows"
    yield compared(what, ours.seconds, bare.seconds, "s", note=NOTE)
    yield compared(f"{what}: CPU of the worker", ours.cpu, bare.cpu, "s", note=NOTE)
    yield compared(f"{what}: CPU of Postgres", ours.postgres, bare.postgres, "s", note=NOTE)
    peaks = max(ours.memory), max(bare.memory)
    yield Line(f"{what}: peak memory of the worker", *peaks, "MB", "", None, NOTE)


def _fill(source: str, records: int) -> None:
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(_ROWS.replace("%s", str(records)))
        connection.execute("ALTER TABLE work_orders ADD PRIMARY KEY (id)")
        connection.execute("CREATE INDEX ON work_orders (updated_at)")
        connection.execute("VACUUM ANALYZE work_orders")


def _ours(own: World, source: str, taken: Taken, records: int) -> None:
    where = conninfo_to_dict(source)
    password = own.secrets / "source"
    password.write_text(str(where.get("password", "")))
    password.chmod(0o600)
    url = f"postgresql://{where['user']}@{where['host']}:{where['port']}/{where['dbname']}?sslmode=disable"
    with own.database.transaction() as connection:
        connection.execute(
            "WITH made AS (INSERT INTO connections (name, system, settings, secrets)"
            " VALUES ('table', 'sql', %s, %s) RETURNING id)"
            " INSERT INTO streams (connection_id, name, bucket, schedule)"
            " SELECT id, 'work_orders', 3, '{\"every\": 300}' FROM made",
            (
                Jsonb({"url": url, "describe": {"streams": {"work_orders": STREAM}}}),
                Jsonb({"password": f"file://{password}"}),
            ),
        )
    own.start_worker()
    checkpoint(own.database_url)
    before = postgres_cpu(own)
    with own.watch() as watch:
        taken.seconds.append(own.sync())
    taken.cpu.append(watch.cost.cpu)
    taken.memory.append(watch.cost.peak_mb)
    taken.postgres.append(postgres_cpu(own) - before)
    own.stop()
    _compare(own, source, records)


def _compare(own: World, source: str, records: int) -> None:
    """What Postgres writes of each row in both, as one text."""
    with psycopg.connect(source) as connection:
        connection.execute("SET timezone = 'UTC'")
        there = {str(row[0]): row[1] for row in connection.execute(
            "SELECT id, md5(notes || extra || updated_at::text || cost) FROM work_orders")}  # fmt: skip
    rows = own.database.all(
        "SELECT key, md5((raw ->> 'notes') || (raw -> 'extra')::text || ((raw ->> 'updated_at')::timestamptz)::text"
        " || (raw ->> 'cost')) AS sum FROM records, LATERAL (SELECT set_config('timezone', 'UTC', true)) AS utc"
    )
    here = {row["key"]: row["sum"] for row in rows}
    if here != there or len(here) != records:
        wrong = sum(here.get(key) != sum_ for key, sum_ in there.items())
        raise RuntimeError(f"Of {records:,} rows, {wrong:,} are missing or different in our copy.")


def _bare(own: World, source: str, taken: Taken, records: int) -> None:
    program = [sys.executable, "-m", "tests.bench.parts.bare_sql", source]
    with sync_process(program, own.database_url) as loop:
        checkpoint(own.database_url)
        before = postgres_cpu(own)
        synced = loop.sync()
        taken.seconds.append(synced.seconds)
        taken.cpu.append(synced.cost.cpu)
        taken.memory.append(synced.cost.peak_mb)
        taken.postgres.append(postgres_cpu(own) - before)
        if synced.written != records:
            raise RuntimeError(f"The cursor and COPY wrote {synced.written:,} rows.")
