"""Does a worker stay responsive while 300 of its runs wait for slow systems?

Four systems answer after ten seconds; 75 connections of each have a run under way. On the same worker another system,
which answers at once: its runs are asked for a few at a time, as by hand. The time from request to end, in the 95th of a
hundred, beside the waiting ones and alone, by turns in the same run. The worker has threads for all: two processes of 256.
"""

from collections.abc import Iterator

from tests.bench.parts.line import Line, compared
from tests.bench.parts.processes import resident_mb
from tests.bench.parts.response import ask_for, p95, response_times
from tests.bench.parts.servers import Source, own_postgres, own_valkey, source
from tests.bench.parts.world import IDLE_STREAMS, World, world

FULL_ONLY = True

QUICK, SLOW = "bench", ("slow_1", "slow_2", "slow_3", "slow_4")
WAITING, LEAST = 300, 240
"""A process keeps a third of its slots for other systems: where it took most of the messages, a few wait in it."""
LATENCY_MS = 10_000.0
ROUNDS, SHORT_ROUNDS = 5, 2
REQUESTS, AT_ONCE = 40, 3


def run(full: bool) -> Iterator[Line]:
    alone, beside, memory = [], [], []
    with (
        own_postgres() as postgres,
        own_valkey() as valkey,
        source(1000) as quick,
        source(1000, LATENCY_MS) as slow,
        world(postgres, valkey) as own,
    ):
        _prepare(own, quick, slow)
        own.start_worker("worker", "--processes", "2", "--concurrency", "256")
        _measure(own)  # everything warm
        before = resident_mb(own.parts["worker"].pid)
        for _ in range(ROUNDS if full else SHORT_ROUNDS):
            alone.append(_measure(own))
            _let_wait(own)
            beside.append(_measure(own))
            memory.append(resident_mb(own.parts["worker"].pid))
            if _working(own) < LEAST:
                raise RuntimeError("The slow runs ended before the quick ones were measured.")
            own.wait_idle()
    yield compared(
        f"p95 of a run beside {WAITING} runs that wait for slow systems",
        [1000 * value for value in beside],
        [1000 * value for value in alone],
        "ms",
        note="the same runs alone",
    )
    yield compared(
        f"memory of a worker with {WAITING} waiting runs",
        memory,
        [before],
        "MB",
        note="all its processes, before any waited",
    )


def _prepare(own: World, quick: Source, slow: Source) -> None:
    own.add_connections(quick.url, system=QUICK, count=1, streams=IDLE_STREAMS[:AT_ONCE], first_due=None)
    for system in SLOW:
        own.add_system(system)
        own.add_connections(
            slow.url, system=system, count=WAITING // len(SLOW), streams=IDLE_STREAMS[:1], first_due=None
        )
    own.publisher()


def _measure(own: World) -> float:
    return p95(response_times(own, QUICK, REQUESTS))


def _let_wait(own: World) -> None:
    """All slow runs are asked for and at work."""
    for system in SLOW:
        streams = own.database.all(
            "SELECT s.id FROM streams s JOIN connections c ON c.id = s.connection_id WHERE c.system = %(s)s",
            {"s": system},
        )
        ask_for(own, system, [row["id"] for row in streams])
    own.wait(lambda: _working(own) >= LEAST, 20, what="waiting runs at work")


def _working(own: World) -> int:
    return int(own.one("SELECT count(*) AS n FROM runs WHERE state = 'running'")["n"])
