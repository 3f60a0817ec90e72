"""What does it cost to dispatch what is due, and how late is it, with 1,000, 10,000 and 100,000 streams?

Streams of one interval, their times spread evenly over it; a window of seconds in which they fall due. Ours is the time
from a stream's time to the arrival of its run's message in Valkey; a row in `runs` lies between. The baselines are beats
that dispatch a message and no row, on the same Valkey and Postgres: celery-redbeat and sqlalchemy-celery-beat. Nobody
takes the messages' runs: only beat is measured. A tick's time is that of Celery's service, for all three.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

import psycopg
import redis

from tests.bench import peers
from tests.bench.parts.line import Line
from tests.bench.parts.processes import cpu_seconds
from tests.bench.parts.servers import ROOT, fresh_database, own_postgres, own_valkey
from tests.bench.parts.world import World, world
from worker.runs.alive import Alive

EVERY = 300.0
PROGRAM = Path(__file__).parents[1] / "peers" / "programs" / "beat_peer.py"
SIZES, SHORT_SIZES = (1_000, 10_000, 100_000), (10_000,)
SECONDS, SHORT_SECONDS = 30.0, 10.0
QUEUE = "headrace:sync.bench"
UNLIMITED_SLOTS = 100_000
PEERS = (("redbeat", "celery-redbeat"), ("sqlalchemy", "sqlalchemy-celery-beat"))
_pause = threading.Event()


@dataclass(frozen=True, slots=True)
class Measured:
    """One beat, one window."""

    due: int
    lags: list[float]
    busy: list[tuple[float, int]]
    idle: list[float]
    cpu: float
    rss_mb: float

    @property
    def ms_each(self) -> float:
        return 1000 * sum(took for took, _ in self.busy) / max(1, sum(count for _, count in self.busy))

    @property
    def idle_ms(self) -> float:
        return 1000 * mean(self.idle) if self.idle else float("nan")

    def lag(self, percent: int) -> float:
        return quantiles(self.lags, n=100)[percent - 1] if len(self.lags) > 1 else float("nan")

    @property
    def words(self) -> str:
        return (
            f"{len(self.lags):,} of {self.due:,}, lag p50 {self.lag(50):.2f} p99 {self.lag(99):.2f} s, "
            f"CPU {self.cpu:.2f} s, {self.rss_mb:.0f} MB, idle tick {self.idle_ms:.2f} ms"
        )


def run(full: bool) -> Iterator[Line]:
    sizes, seconds = (SIZES, SECONDS) if full else (SHORT_SIZES, SHORT_SECONDS)
    memory: list[float] = []
    with own_postgres() as postgres, own_valkey() as valkey:
        for size in sizes:
            with world(postgres, valkey) as own:
                ours = _ours(own, size, seconds)
            memory.append(ours.rss_mb)
            for kind, name in PEERS if full else PEERS[:1]:
                theirs = _theirs(kind, size, seconds, postgres, valkey)
                yield from _lines(size, ours, theirs, name)
    if len(sizes) > 1:
        figure = f"memory of a beat, {sizes[-1]:,} streams beside {sizes[0]:,}"
        yield Line(figure, memory[-1], memory[0], "MB", "flat", memory[-1] <= 1.1 * memory[0])


def _lines(size: int, ours: Measured, theirs: Measured, name: str) -> Iterator[Line]:
    note = f"{name}: {theirs.words}; ours: {ours.words}"
    whole = len(ours.lags) == ours.due
    figure = f"a dispatch, {size:,} streams"
    yield Line(figure, ours.ms_each, theirs.ms_each, "ms", "<= 0.2 ms", whole and ours.ms_each <= 0.2, note)
    late = f"lag p99, {size:,} streams"
    yield Line(late, ours.lag(99), theirs.lag(99), "s", "<= 1 s", whole and ours.lag(99) <= 1.0, name)


def _ours(own: World, size: int, seconds: float) -> Measured:
    own.add_connections("http://127.0.0.1:1", count=size // 10, every=EVERY, first_due=3600.0, spread=EVERY)
    Alive(own.database, "worker", queues=["sync.bench"], slots=UNLIMITED_SLOTS).note()
    notes = own.home / "ticks.json"
    child = own.start_program("beat", "-P", "-m", "tests.bench.parts.ticking", str(notes))
    own.wait(lambda: own.one("SELECT count(*) AS n FROM processes WHERE kind = 'beat'")["n"], 60, what="beat")
    base, points = _place(own, size, seconds)
    arrived: dict[int, float] = {}
    end = threading.Event()
    taker = threading.Thread(target=_take, args=(own, arrived, end))
    taker.start()
    _until(base)
    cpu = cpu_seconds(child.pid)
    _until(base + seconds)
    cpu = cpu_seconds(child.pid) - cpu
    rss = _rss(child.pid)
    _until(base + seconds + 2.0)
    end.set()
    taker.join()
    own.stop("beat")
    lags = [arrived[stream] - point for stream, point in points.items() if stream in arrived]
    ticks = [(took, count) for at, took, count, _ in json.loads(notes.read_text()) if at >= base]
    return Measured(
        len(points),
        lags,
        [tick for tick in ticks if tick[1]],
        [took for took, count in ticks if not count],
        cpu,
        rss,
    )


def _place(own: World, size: int, seconds: float) -> tuple[float, dict[int, float]]:
    """Spread the streams over one interval that begins in two seconds; when each of the window's is due."""
    row = own.one("SELECT extract(epoch FROM now())::float8 + 2 + %(n)s / 50000.0 AS base", n=size)
    base: float = row["base"]
    own.database.run(
        "UPDATE streams s SET next_run_at = to_timestamp(%(base)s + (n - 0.5) / %(size)s * %(every)s)"
        "  FROM (SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS n FROM streams) o WHERE o.id = s.id",
        {"base": base, "size": size, "every": EVERY},
    )
    own.database.run("VACUUM ANALYZE streams")
    found = own.database.all(
        "SELECT id, extract(epoch FROM next_run_at)::float8 AS due FROM streams"
        " WHERE next_run_at < to_timestamp(%(end)s)",
        {"end": base + seconds},
    )
    return base, {row["id"]: row["due"] for row in found}


def _take(own: World, arrived: dict[int, float], end: threading.Event) -> None:
    """Note when each stream's message arrives; its run is over then, as if a worker had carried it out."""
    with redis.Redis.from_url(own.broker_url) as client, psycopg.connect(own.database_url) as connection:
        connection.autocommit = True
        while not end.wait(0.005):
            now = time.time()
            texts: list[bytes] = client.rpop(QUEUE, 1000) or []
            if not texts:
                continue
            runs = [json.loads(text)["headers"]["argsrepr"].strip("(),'") for text in texts]
            for (stream,) in connection.execute(
                "DELETE FROM runs WHERE id = ANY (%s::uuid[]) RETURNING stream_id", (runs,)
            ):
                arrived.setdefault(stream, now)


def _theirs(kind: str, size: int, seconds: float, postgres: str, valkey: str) -> Measured:
    with fresh_database(postgres, "peer") as database:
        environment = {**os.environ, "BROKER": re.sub(r"/\d*$", "", valkey), "DATABASE": database}
        done = subprocess.run(
            [peers.python("beats"), PROGRAM, kind, str(size), str(EVERY), str(seconds)],
            env=environment,
            capture_output=True,
            timeout=240,
            cwd=ROOT,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:].decode(errors="replace"))
    with redis.Redis.from_url(valkey) as client:
        client.flushall()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["busy"] = [(took, count) for took, count in found["busy"]]
    return Measured(**found)


def _rss(pid: int) -> float:
    import psutil  # noqa: PLC0415

    return float(psutil.Process(pid).memory_info().rss / 2**20)


def _until(moment: float) -> None:
    _pause.wait(max(0.0, moment - time.time()))


if __name__ == "__main__":
    for line in run("--full" in sys.argv):
        print(line)
