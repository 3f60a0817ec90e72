"""How much room does a record take once it was changed again and again?

Records are loaded by a real run, then a tenth of them changes twenty times, each followed by a real run. Autovacuum looks
once a minute, and a round takes seconds: so after each round its part is done here, wherever it would be due by the settings
of the partition. The baseline is the same rows right after the first load, indexes included. The copy is compared in the end.
"""

from collections.abc import Iterator

import psycopg
from psycopg import sql

from tests.bench.parts.line import Line
from tests.bench.parts.servers import own_postgres, own_valkey, source
from tests.bench.parts.world import World, differences, world

RECORDS, SHORT = 100_000, 10_000
ROUNDS = 20
SETTLED = 14
"""From this round on nothing may grow any more, but for a twentieth."""


def run(full: bool) -> Iterator[Line]:
    records = RECORDS if full else SHORT
    sizes = []
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        source(records) as data,
        world(postgres, valkey) as own,
    ):
        own.add_connections(data.url, streams=["work_orders"], first_due=None, done=False)
        own.start_worker()
        own.sync()
        _vacuum(own, records)
        fresh = _size(own)
        for _ in range(ROUNDS):
            data.mutate(records // 10)
            own.sync()
            _vacuum(own, records // 10)
            sizes.append(_size(own))
        if wrong := differences(own, data):
            raise RuntimeError(f"Our copy is not the source: {wrong}")
    note = "the same rows freshly loaded, indexes included"
    ratio = sizes[-1] / fresh
    yield Line(
        f"storage a record after {ROUNDS} changes of a tenth of {records:,}",
        sizes[-1] / records,
        fresh / records,
        "bytes",
        "<= 1.3 x",
        ratio <= 1.3,
        note,
    )
    growth = sizes[-1] / sizes[SETTLED - 1]
    yield Line(
        f"storage after round {ROUNDS} beside round {SETTLED}",
        sizes[-1] / records,
        sizes[SETTLED - 1] / records,
        "bytes",
        "<= 1.05 x",
        growth <= 1.05,
        "it stops growing",
    )


def _size(own: World) -> int:
    return int(
        own.one(
            "SELECT sum(pg_total_relation_size(relid)) AS bytes FROM pg_partition_tree('records') WHERE isleaf"
        )["bytes"]
    )


def _vacuum(own: World, touched: int) -> None:
    """What autovacuum does within a minute, if so many dead rows are enough for it."""
    row = own.one(
        """SELECT c.relname AS name, c.reltuples::float8 AS rows,
                  coalesce((SELECT option_value::float8 FROM pg_options_to_table(c.reloptions)
                             WHERE option_name = 'autovacuum_vacuum_scale_factor'), 0.2) AS factor
             FROM streams s JOIN pg_class c ON c.relname = 'records_' || lpad(s.bucket::text, 2, '0')
            WHERE s.name = 'work_orders'"""
    )
    if touched > 50 + row["factor"] * max(0.0, row["rows"]):
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(row["name"])))
