"""How long does a first load take, one stream, a source that answers at once?

A real run (claimed, fenced, logged, with limits and leases) in a worker process as users start it, against the bare loop
with our columns under our indexes, turn by turn on one Postgres; for information the bare loop that stores JSON alone.
The source waits for neither. Each copy is compared with the source, byte for byte.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import psutil

from tests.bench.parts.bare import bare
from tests.bench.parts.line import Line, compared
from tests.bench.parts.processes import Cost, cpu_seconds
from tests.bench.parts.servers import Source, checkpoint, own_postgres, own_valkey, source
from tests.bench.parts.world import World, differences, world

RECORDS, SHORT = 200_000, 100_000
ROUNDS, SHORT_ROUNDS = 5, 2
MOST_MEMORY = 150.0
NOTE = "the bare loop, same columns and indexes"


@dataclass
class Taken:
    """What the loads of one contender took."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def add(self, seconds: float, cost: Cost, postgres: float) -> None:
        self.seconds.append(seconds)
        self.cpu.append(cost.cpu)
        self.postgres.append(postgres)
        self.memory.append(cost.peak_mb)


def run(full: bool) -> Iterator[Line]:
    records = RECORDS if full else SHORT
    ours, columns, plain = Taken(), Taken(), Taken()
    with own_postgres() as postgres, own_valkey() as valkey, source(records) as data:
        for _ in range(ROUNDS if full else SHORT_ROUNDS):
            with world(postgres, valkey) as own:
                _bare(own, data, columns, "columns")
                _bare(own, data, plain, "json")
                _ours(own, data, ours)
    yield from _lines(records, ours, columns, plain)


def _lines(records: int, ours: Taken, columns: Taken, plain: Taken) -> Iterator[Line]:
    what = f"first load of {records:,} records"
    yield compared(
        what, ours.seconds, columns.seconds, "s", target="<= 1.3 x", holds=lambda r: r <= 1.3, note=NOTE
    )
    yield compared(
        f"{what}: beside JSON alone", ours.seconds, plain.seconds, "s", note="the bare loop, JSON only"
    )
    yield compared(f"{what}: CPU of the worker", ours.cpu, columns.cpu, "s", note=NOTE)
    yield compared(f"{what}: CPU of Postgres", ours.postgres, columns.postgres, "s", note=NOTE)
    peak = max(ours.memory)
    yield Line(
        f"{what}: peak memory of the worker",
        peak,
        max(columns.memory),
        "MB",
        f"<= {MOST_MEMORY:.0f} MB",
        peak <= MOST_MEMORY,
        NOTE,
        tuple(ours.memory),
        tuple(columns.memory),
    )


def _ours(own: World, data: Source, taken: Taken) -> None:
    own.add_connections(data.url, streams=["work_orders"], first_due=None, done=False)
    own.start_worker()
    checkpoint(own.database_url)
    before = postgres_cpu(own)
    with own.watch() as watch:
        seconds = own.sync()
    taken.add(seconds, watch.cost, postgres_cpu(own) - before)
    if found := differences(own, data):
        raise RuntimeError(f"Our copy is not the source: {found}")


def _bare(own: World, data: Source, taken: Taken, store: str) -> None:
    with ExitStack() as stack:
        loop = stack.enter_context(bare(data.url, own.database_url, table=f"rows_{store}", store=store))
        checkpoint(own.database_url)
        before = postgres_cpu(own)
        synced = loop.sync()
        taken.add(synced.seconds, synced.cost, postgres_cpu(own) - before)
        if synced.written != len(data.content()):
            raise RuntimeError(f"The bare loop wrote {synced.written:,} records.")


def postgres_cpu(own: World) -> float:
    """CPU seconds of the whole server so far."""
    pid = own.one("SELECT pg_backend_pid() AS pid")["pid"]
    server = psutil.Process(int(pid)).parent()
    assert server is not None
    return cpu_seconds(server.pid)
