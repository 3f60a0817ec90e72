"""What is the least that an idle run can cost? The bare spine: claim a row, one GET, finish the row, through Celery.

No limit, no lease that is renewed, no checkpoint, no log, no step, no history, and nobody who decides when. Runs on the
same Postgres, the same Valkey and the same source as ours, in a database of its own; workers with Celery's pool of
threads, four messages fetched ahead for each, acknowledged early.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx
import msgspec
import psycopg
from celery import Celery

from tests.bench.parts.processes import cpu_seconds, machine_cpu_seconds
from tests.bench.parts.servers import ROOT, fresh_database

MOST_CONNECTIONS = 8
QUEUE = "bench-spine"
SCHEMA = """
CREATE TABLE streams (id int PRIMARY KEY, cursor text, last_success_at timestamptz, next_run_at timestamptz)
  WITH (fillfactor = 80);
CREATE TABLE runs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), stream_id int, state text NOT NULL DEFAULT 'queued',
  claim_no int DEFAULT 0, lease_until timestamptz, created_at timestamptz DEFAULT now(), started_at timestamptz,
  finished_at timestamptz, pages int) WITH (fillfactor = 70);
CREATE UNIQUE INDEX ON runs (stream_id) WHERE state IN ('queued', 'running')"""
CLAIM = """
UPDATE runs SET state = 'running', claim_no = claim_no + 1, lease_until = now() + interval '90 s', started_at = now()
 WHERE id = %s AND state = 'queued' RETURNING stream_id, claim_no"""
FINISH = """
WITH s AS (UPDATE streams SET cursor = %s, last_success_at = now() WHERE id = %s)
UPDATE runs SET state = 'succeeded', finished_at = now(), pages = 1
 WHERE id = %s AND claim_no = %s AND state = 'running'"""

app = Celery("bench-spine", broker=os.environ.get("SPINE_BROKER"), set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=4,
    task_acks_late=False,
    worker_send_task_events=False,
    worker_redirect_stdouts=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"priority_steps": [0], "visibility_timeout": 300},
)


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]


class _Resources:
    """What the threads of a worker share: one HTTP client, and a few connections to Postgres."""

    def __init__(self) -> None:
        self.client = httpx.Client(limits=httpx.Limits(max_connections=64, max_keepalive_connections=64))
        self._free: queue.LifoQueue[psycopg.Connection[Any] | None] = queue.LifoQueue()
        for _ in range(MOST_CONNECTIONS):
            self._free.put(None)

    @contextmanager
    def connection(self) -> Iterator["psycopg.Connection[Any]"]:
        found = self._free.get() or psycopg.connect(os.environ["SPINE_DATABASE"], autocommit=True)
        try:
            yield found
        finally:
            self._free.put(found)


_made: list[_Resources] = []
_lock = threading.Lock()


def _resources() -> _Resources:
    with _lock:
        if not _made:
            _made.append(_Resources())
    return _made[0]


@app.task(name="spine.run")  # type: ignore[untyped-decorator]
def run(run_id: str) -> None:
    """One idle run and nothing else."""
    own = _resources()
    with own.connection() as connection:
        row = connection.execute(CLAIM, (run_id,), prepare=True).fetchone()
    if row is None:
        return
    answer = own.client.get(
        os.environ["SPINE_SOURCE"] + "/nothing?limit=500&updated_since=2026-01-01T00:00:00Z",
        headers={"Authorization": "Bearer x", "X-Request-ID": run_id},
    )
    assert not msgspec.json.decode(answer.content, type=_Page).data
    with own.connection() as connection:
        connection.execute(FINISH, ("c", row[0], run_id, row[1]), prepare=True)


@dataclass(frozen=True, slots=True)
class SpineRate:
    """What the bare spine reached."""

    runs_per_second: float
    worker_cpu_ms: float
    """Of its own processes, a run."""
    machine_cpu_ms: float
    """Of everything on this machine, a run."""


def spine_rate(
    postgres: str, valkey: str, source: str, *, runs: int = 20_000, processes: int = 2, threads: int = 16
) -> SpineRate:
    """Runs a second while the middle of so many are worked off, everything published before."""
    with fresh_database(postgres, "spine") as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO streams SELECT g FROM generate_series(1, %s) g", (runs,))
        made = connection.execute("INSERT INTO runs (stream_id) SELECT id FROM streams RETURNING id::text")
        app.conf.broker_url = valkey
        with app.producer_pool.acquire(block=True) as producer:
            for row in made.fetchall():
                run.apply_async(row, producer=producer)
        environment = {"SPINE_DATABASE": url, "SPINE_BROKER": valkey, "SPINE_SOURCE": source}
        with _workers(processes, threads, environment) as workers:
            return _measure(connection, runs, [worker.pid for worker in workers])


def _measure(connection: "psycopg.Connection[Any]", runs: int, pids: list[int]) -> SpineRate:
    first = _wait_done(connection, runs // 10)
    begun, own, machine = monotonic(), cpu_seconds(*pids), machine_cpu_seconds()
    last = _wait_done(connection, runs * 95 // 100)
    done = last - first
    return SpineRate(
        done / (monotonic() - begun),
        1000 * (cpu_seconds(*pids) - own) / done,
        1000 * (machine_cpu_seconds() - machine) / done,
    )


def _wait_done(connection: "psycopg.Connection[Any]", count: int, timeout: float = 120.0) -> int:
    deadline, pause = monotonic() + timeout, threading.Event()
    while monotonic() < deadline:
        row = connection.execute("SELECT count(*) FROM runs WHERE state = 'succeeded'").fetchone()
        assert row is not None
        if row[0] >= count:
            return int(row[0])
        pause.wait(0.1)
    raise RuntimeError(f"The bare spine did not finish {count} runs within {timeout:.0f} s.")


@contextmanager
def _workers(
    processes: int, threads: int, environment: dict[str, str]
) -> "Iterator[list[subprocess.Popen[bytes]]]":
    program = [sys.executable, "-m", "celery", "-A", "tests.bench.parts.spine", "worker", "-P", "threads"]
    flags = [f"-c{threads}", "-lWARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    started = [
        subprocess.Popen(
            [*program, *flags, "-n", f"spine{number}@h"],
            env=os.environ | environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(processes)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
