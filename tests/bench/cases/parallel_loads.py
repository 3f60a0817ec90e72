"""How many records a second does the machine take when many streams are loaded for the first time at once?

Eight streams of four connections in worker processes as users start them, against as many bare loops, each in a process of
its own, into one Postgres. Each copy is compared with the source, byte for byte.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.cases.first_load import postgres_cpu
from tests.bench.parts.bare import bare
from tests.bench.parts.line import Line, compared
from tests.bench.parts.servers import Source, checkpoint, own_postgres, own_valkey, source
from tests.bench.parts.world import World, differences, world

STREAMS = ("work_orders", "work_orders_2")
CONNECTIONS = 4
RECORDS, SHORT = 100_000, 15_000
"""A stream."""
ROUNDS, SHORT_ROUNDS = 3, 2


def run(full: bool) -> Iterator[Line]:
    records = RECORDS if full else SHORT
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    with own_postgres() as postgres, own_valkey() as valkey, source(records) as data:
        for _ in range(ROUNDS if full else SHORT_ROUNDS):
            with world(postgres, valkey) as own:
                for name, load in (("bare", _bare), ("ours", _ours)):
                    seconds, cost = load(own, data, records)
                    rates[name].append(records * len(STREAMS) * CONNECTIONS / seconds)
                    cpu[name].append(cost / (records * len(STREAMS) * CONNECTIONS) * 1e6)
    what = f"first loads of {CONNECTIONS * len(STREAMS)} x {records:,} records at once"
    note = f"{CONNECTIONS * len(STREAMS)} bare loops"
    yield compared(
        what,
        rates["ours"],
        rates["bare"],
        "records/s",
        target=">= 0.75 x",
        holds=lambda ratio: ratio >= 0.75,
        note=note,
    )
    yield compared(f"{what}: CPU a record", cpu["ours"], cpu["bare"], "us", note=note)


def _ours(own: World, data: Source, records: int) -> tuple[float, float]:
    del records
    own.add_connections(data.url, count=CONNECTIONS, streams=STREAMS, first_due=None, done=False)
    own.start_worker()
    checkpoint(own.database_url)
    before = postgres_cpu(own)
    begun = time.perf_counter()
    with own.watch() as watch:
        for stream in STREAMS:
            own.request(stream)
        own.wait_idle(300)
    seconds = time.perf_counter() - begun
    cost = watch.cost.cpu + postgres_cpu(own) - before
    if found := [wrong for stream in STREAMS for wrong in differences(own, data, stream)]:
        raise RuntimeError(f"Our copies are not the source: {found}")
    return seconds, cost


def _bare(own: World, data: Source, records: int) -> tuple[float, float]:
    with ExitStack() as stack:
        loops = [
            stack.enter_context(bare(data.url, own.database_url, table=f"rows_{number}"))
            for number in range(CONNECTIONS * len(STREAMS))
        ]
        checkpoint(own.database_url)
        before = postgres_cpu(own)
        begun = time.perf_counter()
        for loop in loops:
            loop.start()
        synced = [loop.result() for loop in loops]
        seconds = time.perf_counter() - begun
        if any(found.written != records for found in synced):
            raise RuntimeError("A bare loop didn't write all records.")
        return seconds, sum(found.cost.cpu for found in synced) + postgres_cpu(own) - before
