"""What does it cost to filter and aggregate over the view of a large stream?

The records are put into the copy by SQL; their store is filled as beat fills it. The baseline is a plain table with the
columns of the view and a primary key, on the same Postgres, each query turn by turn. Once with everything refreshed, and once
with changes that are not in the store yet; for information also the view that parses each record as it is read.
"""

import time
from collections.abc import Iterator
from typing import Any

from psycopg.types.json import Jsonb

from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import fresh_database, own_postgres
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.db.queries import sql
from worker.views.make import known_columns, make_views
from worker.views.sql import tables
from worker.views.sql.columns import Relation
from worker.views.stores import keep_store, tend_store
from worker.views.streams import Described
from worker.views.tending import streams_of

RECORDS, SHORT = 5_000_000, 200_000
PARSED = 200_000
"""So many are parsed as they are read, for information."""
CHANGED = 5_000
ROUNDS, SHORT_ROUNDS = 5, 3
NOTE = "a plain typed table"
QUERIES = {
    "filter and count": "SELECT count(*) FROM {} WHERE status = 'open' AND priority = 'high' AND due_date < '2026-03-01'",
    "group and sum": "SELECT status, count(*), sum(cost_total), max(updated_at) FROM {} GROUP BY status",
    "filter and average": "SELECT avg(labor_hours) FROM {} WHERE cost_total BETWEEN 100 AND 400 AND _deleted_at IS NULL",
}
_LOAD = """
INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, source_updated_at, first_seen_at, cause_kind,
                     cause_id, change_kind)
SELECT %(bucket)s, %(stream)s, n::text, json_build_object(
           'id', n, 'number', 'WO-' || lpad(n::text, 8, '0'), 'title', 'Pump ' || n %% 997 || ' leaks at the seal',
           'description', repeat('Seen on the round; 30 degrees above normal. ', 1 + n %% 6),
           'type', (ARRAY['corrective', 'preventive', 'inspection'])[1 + n %% 3],
           'priority', (ARRAY['low', 'medium', 'high', 'urgent'])[1 + n %% 4],
           'status', (ARRAY['open', 'assigned', 'in_progress', 'completed', 'cancelled'])[1 + n * 7 %% 5],
           'site_id', 'SITE-' || n %% 20, 'asset_id', n %% 50000, 'requested_by', 'user-' || n %% 300,
           'due_date', to_char(date '2026-01-01' + n %% 365, 'YYYY-MM-DD'),
           'labor_hours', (n %% 400) / 4.0, 'cost_total', (n %% 100000) / 100.0, 'parts_used', '[]'::json,
           'updated_at', to_char(timestamp '2026-01-01' + n %% 31536000 * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
       ), gen_random_uuid(), now(), now(), now(), 'run', gen_random_uuid(), 'created'
  FROM generate_series(%(first)s::int, %(last)s::int) n
"""


def run(full: bool) -> Iterator[Line]:
    records, rounds = (RECORDS, ROUNDS) if full else (SHORT, SHORT_ROUNDS)
    with own_postgres() as postgres, fresh_database(postgres) as url:
        database = Database(url, name="bench", pool=2)
        try:
            yield from _measured(database, records, rounds)
        finally:
            database.close()


def _measured(database: Database, records: int, rounds: int) -> Iterator[Line]:
    migrate(database)
    stream = _stream(database)
    _load(database, stream, 1, min(records, PARSED))
    make_views(database, stream)
    database.run("VACUUM ANALYZE records")
    yield from _parsed(database, stream, min(records, PARSED), rounds)
    _load(database, stream, PARSED + 1, records)
    database.run("VACUUM ANALYZE records")
    yield from _filled(database, stream, records)
    database.run("DROP TABLE IF EXISTS plain")
    _plain(database)
    yield from _lines(database, f"{records:,} records", rounds, "<= 2 x")
    _change(database, stream, records)
    yield from _lines(database, f"{records:,} records, {CHANGED:,} changes not refreshed", rounds, "<= 2 x")
    yield from _refreshed(database, stream)


def _stream(database: Database) -> Described:
    row = database.one(
        "INSERT INTO connections (name, system, settings) VALUES ('plant', 'demo', %(none)s) RETURNING id",
        {"none": Jsonb({})},
    )
    assert row is not None
    options = Jsonb({"materialise": "always"})
    database.run(
        "INSERT INTO streams (connection_id, name, bucket, schedule, options) VALUES (%(id)s, 'work_orders', 3, '{}', %(options)s)",
        {"id": row["id"], "options": options},
    )
    return streams_of(database, Registry.load(), row["id"])[0]


def _load(database: Database, stream: Described, first: int, last: int) -> None:
    for start in range(first, last + 1, 100_000):
        place = {"bucket": stream.place.bucket, "stream": stream.id}
        database.run(_LOAD, {**place, "first": start, "last": min(last, start + 99_999)})


def _view(database: Database) -> str:
    row = database.one("SELECT name FROM stream_views")
    assert row is not None
    return f"data.{row['name']}"


def _plain(database: Database) -> None:
    database.run(f"CREATE TABLE plain AS SELECT * FROM {_view(database)}")
    database.run("ALTER TABLE plain ADD PRIMARY KEY (_key)")
    for table in ("plain", _store(database)):
        database.run(f"VACUUM ANALYZE {table}")


def _store(database: Database) -> str:
    row = database.one("SELECT table_name FROM view_stores WHERE active")
    assert row is not None
    return f"headrace_store.{row['table_name']}"


def _parsed(database: Database, stream: Described, records: int, rounds: int) -> Iterator[Line]:
    with database.connection() as db:
        relation = Relation((), tuple(known_columns(db, stream.id)[()]))
    database.run(f"CREATE TABLE plain AS {tables.view_of(relation, stream.place)}")
    database.run("VACUUM ANALYZE plain")
    yield from _lines(database, f"{records:,} records, parsed as they are read", rounds, "")


def _filled(database: Database, stream: Described, records: int) -> Iterator[Line]:
    begun = time.monotonic()
    keep_store(database, stream)
    _tend(database, stream)
    seconds = time.monotonic() - begun
    yield Line("filling a store", records / seconds, 0.0, "records/s", "", None)
    sizes = database.one(
        "SELECT pg_total_relation_size(%(store)s::regclass) AS store, pg_total_relation_size('records_03') AS records",
        {"store": _store(database)},
    )
    assert sizes is not None
    each = (sizes["store"] / records, sizes["records"] / records)
    yield Line("storage of a parsed record", *each, "bytes", "", None, "the record itself, with its indexes")


def _refreshed(database: Database, stream: Described) -> Iterator[Line]:
    begun = time.monotonic()
    _tend(database, stream)
    yield Line("refreshing a store", CHANGED / (time.monotonic() - begun), 0.0, "records/s", "", None)


def _tend(database: Database, stream: Described) -> None:
    for store in database.all(sql.stores_to_tend):
        while tend_store(database, store, stream):
            pass


def _change(database: Database, stream: Described, records: int) -> None:
    database.run(
        "UPDATE records SET observed_at = now(), change_xid = pg_current_xact_id(), change_kind = 'updated'"
        " WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = ANY (%(keys)s)",
        {
            "bucket": stream.place.bucket,
            "stream": stream.id,
            "keys": [str(n) for n in range(1, records, max(1, records // CHANGED))],
        },
    )


def _lines(database: Database, what: str, rounds: int, target: str) -> Iterator[Line]:
    view = _view(database)
    for name, query in QUERIES.items():
        times: dict[str, list[float]] = {view: [], "plain": []}
        answers: dict[str, Any] = {}
        for _ in range(rounds):
            for source, found in times.items():
                begun = time.monotonic()
                answers[source] = database.all(query.format(source))
                found.append(1000 * (time.monotonic() - begun))
        if "changes" not in what and _sorted(answers[view]) != _sorted(answers["plain"]):
            raise RuntimeError(f"The view and the table differ: {answers}")
        yield compared(
            f"{name}, {what}",
            times[view],
            times["plain"],
            "ms",
            target=target,
            holds=(lambda ratio: ratio <= 2.0) if target else None,
            note=NOTE,
        )
    if not target:
        database.run("DROP TABLE plain")


def _sorted(rows: list[Any]) -> list[str]:
    return sorted(repr(row) for row in rows)
