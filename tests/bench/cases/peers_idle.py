"""How many syncs that find nothing new can be done a second, by us and by dlt?

dlt has no scheduler, no queue and no ledger: its figure is what as many warm processes as there are cores reach together,
each syncing one pipeline again and again, all imports and connections behind them. Ours is the rate of the whole system,
from beat to the finished run, each run another stream. Both on the whole machine, so the ratio is one of syncs a second.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench import peers
from tests.bench.parts.line import Line, compared
from tests.bench.parts.processes import cpu_seconds
from tests.bench.parts.servers import Source, fresh_database, own_postgres, own_valkey, source
from tests.bench.parts.synced import SyncProcess, sync_process
from tests.bench.parts.throughput import Throughput, cores, idle_throughput
from tests.bench.parts.world import world

FULL_ONLY = True
ROUNDS, RUNS, SECONDS = 3, 10_000, 10.0
PROGRAM = Path(__file__).parents[1] / "peers" / "programs" / "dlt_sync.py"


def run(full: bool) -> Iterator[Line]:
    del full
    ours: list[Throughput] = []
    theirs: list[tuple[float, float]] = []
    with own_postgres() as postgres, own_valkey() as valkey, source(1000) as data:
        for _ in range(ROUNDS):
            with world(postgres, valkey) as own:
                ours.append(idle_throughput(own, data.url, runs=RUNS))
            theirs.append(_dlt(postgres, data))
    yield compared(
        "idle runs a second, against dlt",
        [each.runs_per_second for each in ours],
        [rate for rate, _ in theirs],
        "/s",
        target=">= 15 x",
        holds=lambda ratio: ratio >= 15,
        note=f"dlt, fastest setting, {cores()} warm processes without a scheduler",
    )
    yield compared(
        "CPU of an idle run, against dlt",
        [each.parts_cpu_ms for each in ours],
        [cpu for _, cpu in theirs],
        "ms",
        note="workers and beat; dlt's process. Postgres and the source are in neither",
    )


def _dlt(postgres: str, data: Source) -> tuple[float, float]:
    """Syncs a second, and milliseconds of CPU for each."""
    with ExitStack() as stack:
        processes = []
        for _ in range(cores()):
            url = stack.enter_context(fresh_database(postgres, "dlt"))
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-"))
            program: list[str | Path] = [peers.python("dlt"), PROGRAM, "fastest", data.url, home]
            processes.append(stack.enter_context(sync_process(program, url)))
        for process in processes:
            process.sync()  # the first load
            process.sync()  # and the first that finds nothing, so that everything is warm
        counts = [0] * len(processes)
        threads = [
            threading.Thread(target=_again_and_again, args=(process, counts, number))
            for number, process in enumerate(processes)
        ]
        pids = [process.pid for process in processes]
        begun, cpu = time.monotonic(), cpu_seconds(*pids)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = sum(counts)
        return done / (time.monotonic() - begun), 1000 * (cpu_seconds(*pids) - cpu) / done


def _again_and_again(process: SyncProcess, counts: list[int], number: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        process.sync()
        counts[number] += 1
