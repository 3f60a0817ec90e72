"""What does a run cost each part of the system? The figures that docs/scaling.md computes with.

No targets: CPU milliseconds, commits, bytes of WAL and commands, for a run that finds nothing new, for a thousand records
of a first load, and for a second in which nothing happens at all.
"""

import threading
import time
from collections.abc import Iterator

from tests.bench.parts.line import Line
from tests.bench.parts.meters import Reading, read_meters, table_bytes
from tests.bench.parts.servers import own_postgres, own_valkey, source
from tests.bench.parts.throughput import idle_throughput, start_parts
from tests.bench.parts.world import World, world

FULL_ONLY = True


def run(full: bool) -> Iterator[Line]:
    runs, records = (20_000, 200_000) if full else (3_000, 20_000)
    with own_postgres() as postgres, own_valkey() as valkey, source(records) as data:
        with world(postgres, valkey) as own:
            yield from _idle_runs(own, data.url, runs)
        with world(postgres, valkey) as own:
            yield from _records(own, data.url, records)


def _idle_runs(own: World, url: str, runs: int) -> Iterator[Line]:
    start_parts(own)
    quiet, begun = read_meters(own), time.monotonic()
    threading.Event().wait(10)
    reading = read_meters(own)
    yield from _lines("a second without any run", reading.per(quiet, time.monotonic() - begun))
    history = table_bytes(own, "run_history%")
    found = idle_throughput(own, url, runs=runs)
    yield from _lines("an idle run", read_meters(own).per(reading, runs))
    yield _figure("an idle run: all of this machine", found.machine_cpu_ms, "ms CPU")
    size = (table_bytes(own, "run_history%") - history) / runs
    yield _figure("an idle run: history", size, "bytes")


def _records(own: World, url: str, records: int) -> Iterator[Line]:
    own.add_connections(url, streams=["work_orders"], first_due=None, done=False)
    own.start_worker()
    reading = read_meters(own)
    own.sync()
    yield from _lines("1,000 new records of 1 kB", read_meters(own).per(reading, records / 1000))
    yield _figure("1,000 new records of 1 kB: stored", table_bytes(own, "records%") / records, "kB")


def _lines(what: str, cost: Reading) -> Iterator[Line]:
    for figure, value, unit in (
        ("Postgres", cost.postgres_cpu * 1000, "ms CPU"),
        ("commits", cost.commits, ""),
        ("WAL", cost.wal_bytes / 1000, "kB"),
        ("Valkey", cost.valkey_cpu * 1000, "ms CPU"),
        ("commands to Valkey", cost.valkey_commands, ""),
        ("workers", cost.worker_cpu * 1000, "ms CPU"),
        ("beat", cost.beat_cpu * 1000, "ms CPU"),
    ):
        yield _figure(f"{what}: {figure}", value, unit)


def _figure(figure: str, value: float, unit: str) -> Line:
    return Line(figure, value, 0.0, unit, "", None)
