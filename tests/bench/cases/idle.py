"""How many runs that find nothing new does this machine carry through the whole system?

Beat finds the stream due, the ledger gets a row and the queue a message, a worker claims it, asks the limiter, sends one
request, commits the cursor and the end, all with leases, logs and steps. Twice: as fast as it goes, beside the bare spine
on the same servers (claim a row, one GET, finish the row, through Celery); and sustained, with a hundred thousand streams
that are due every five minutes. Afterwards each run must stand in the history once, as a success of one page, and the
source must have seen as many requests.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.parts.line import Line, compared
from tests.bench.parts.processes import machine_cpu_seconds
from tests.bench.parts.servers import Source, checkpoint, own_postgres, own_valkey, source
from tests.bench.parts.spine import SpineRate, spine_rate
from tests.bench.parts.throughput import Throughput, cores, idle_throughput, start_parts
from tests.bench.parts.world import World, world

WANTED = 333.0
"""Runs a second: 100,000 streams, every five minutes."""
SHARE = 0.5
"""Of the bare spine."""
LATE = 0.98
"""Of the due runs, as many must have ended by the end of the window."""


@dataclass(frozen=True, slots=True)
class Sustained:
    """A window in which streams fell due at an even pace."""

    runs_per_second: float
    machine_cpu_ms: float
    lag_p99: float
    """Seconds from the request for a run, which a beat makes within a moment of its time, until it ended."""
    waiting: int
    """Runs that were open when the window closed."""


def run(full: bool) -> Iterator[Line]:
    rounds, runs = (3, 20_000) if full else (1, 5_000)
    streams, seconds = (100_000, 200.0) if full else (4_000, 8.0)
    with own_postgres() as postgres, own_valkey() as valkey, source(1000) as data:
        pairs = [_pair(postgres, valkey, data, runs) for _ in range(rounds)]
        yield from _beside_the_spine(pairs, full=full)
        with world(postgres, valkey) as own:
            checkpoint(postgres)
            found = _sustained(own, data, streams, seconds)
    yield from _lines(found, seconds, streams, full=full)


def _pair(postgres: str, valkey: str, data: Source, runs: int) -> tuple[Throughput, SpineRate]:
    """Ours and the bare spine, one right after the other, so that both meet the same machine."""
    bare = spine_rate(postgres, valkey, data.url, runs=runs, processes=cores())
    checkpoint(postgres)
    data.reset()
    with world(postgres, valkey) as own:
        ours = idle_throughput(own, data.url, runs=runs)
        _settle_and_check(own, data)
    checkpoint(postgres)
    return ours, bare


def _beside_the_spine(pairs: list[tuple[Throughput, SpineRate]], *, full: bool) -> Iterator[Line]:
    ours, bare = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    yield compared(
        "idle runs, as fast as it goes",
        [each.runs_per_second for each in ours],
        [each.runs_per_second for each in bare],
        "/s",
        target=f">= {WANTED:.0f}/s and >= {SHARE} x" if full else f">= {SHARE} x",
        holds=lambda ratio: ratio >= SHARE and (not full or _least(ours) >= WANTED),
        note=f"the bare spine, {cores()} processes",
    )
    yield compared(
        "an idle run: CPU of the whole machine",
        [each.machine_cpu_ms for each in ours],
        [each.machine_cpu_ms for each in bare],
        "ms",
        note="the bare spine; neighbours on the machine count for both",
    )
    yield compared(
        "an idle run: CPU of workers and beat",
        [each.parts_cpu_ms for each in ours],
        [each.worker_cpu_ms for each in bare],
        "ms",
        note="the bare spine's workers",
    )


def _least(ours: list[Throughput]) -> float:
    return min(each.runs_per_second for each in ours)


def _sustained(own: World, data: Source, streams: int, seconds: float) -> Sustained:
    """Streams whose due times are spread over their interval, after a moment to come to pace."""
    data.reset()
    every = float(round(streams / WANTED))
    start_parts(own)
    own.add_connections(data.url, count=streams // 10, every=every, first_due=every, labelled=True)
    own.come_to_pace()
    _come_to_pace(own)
    begun, ended, machine = time.monotonic(), own.ended(), machine_cpu_seconds()
    threading.Event().wait(seconds)
    took, done = time.monotonic() - begun, own.ended() - ended
    cpu = 1000 * (machine_cpu_seconds() - machine) / done
    waiting, lag = int(own.one("SELECT count(*) AS n FROM runs")["n"]), _lag(own, seconds)
    _settle_and_check(own, data)
    return Sustained(done / took, cpu, lag, waiting)


def _come_to_pace(own: World) -> None:
    """What fell due while the budgets of an empty Valkey let nobody go is worked off, if that can be done at all."""
    own.wait_ended(int(2 * WANTED))
    deadline, pause = time.monotonic() + 30, threading.Event()
    while own.one("SELECT count(*) AS n FROM runs")["n"] > WANTED and time.monotonic() < deadline:
        pause.wait(0.5)


def _lag(own: World, seconds: float) -> float:
    """Of the runs that ended in the last so many seconds, the slowest but one in a hundred."""
    row = own.one(
        "SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at))::float8 AS p99"
        " FROM run_history WHERE finished_at > now() - make_interval(secs => %(seconds)s)",
        seconds=seconds,
    )
    return float(row["p99"])


def _lines(found: Sustained, seconds: float, streams: int, *, full: bool) -> Iterator[Line]:
    pace = f"{streams:,} streams for {seconds:.0f} s"
    yield Line(
        "idle runs, sustained",
        found.runs_per_second,
        WANTED,
        "/s",
        f">= {LATE} x of what is due",
        found.runs_per_second >= LATE * WANTED if full else None,
        f"what falls due: {pace}; {found.waiting} runs open at the end",
    )
    yield Line(
        "idle runs, sustained: CPU of the whole machine", found.machine_cpu_ms, 0.0, "ms", "", None, pace
    )
    yield Line("idle runs, sustained: from request to end, p99", found.lag_p99, 0.0, "s", "", None, pace)


def _settle_and_check(own: World, data: Source) -> None:
    """Each run once, each a success of one page, however often it had to wait; and as many requests as pages.

    A stream is swept once a day: in a while like this, a few of the thousands are.
    """
    own.database.run("UPDATE streams SET next_run_at = NULL, next_sweep_at = NULL")
    own.wait_idle()
    row = own.one(
        "SELECT count(*) AS runs, count(DISTINCT id) AS different, sum(pages) AS pages,"
        " count(*) FILTER (WHERE state = 'succeeded' AND pages = 1 AND uneventful AND steps IS NOT NULL) AS sound"
        " FROM run_history"
    )
    asked = sum(1 for arrival in data.arrivals() if arrival.path == "/nothing")
    if not row["runs"] == row["different"] == row["sound"] == row["pages"] == asked:
        raise RuntimeError(f"Of {row['runs']} runs {row['sound']} are sound, and {asked} requests arrived.")
    stale = own.one(
        "SELECT count(*) AS n FROM run_history h JOIN cursors u ON u.stream_id = h.stream_id AND u.track = h.track"
        " WHERE h.track = 'live' AND u.window_until IS NULL"
    )
    if stale["n"]:
        raise RuntimeError(f"{stale['n']} runs left no cursor behind.")
