"""How many idle runs a second does the whole system carry? Beat, ledger, queue, workers and one request for each run."""

import os
import time
from dataclasses import dataclass

from tests.bench.parts.processes import machine_cpu_seconds
from tests.bench.parts.world import World

BUDGET = {"requests": 100_000, "per": "1s", "burst": 1000, "concurrency": 64}
"""Never reached, always asked: the limiter is part of what is measured."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of the middle of so many runs."""

    runs: int
    runs_per_second: float
    parts_cpu_ms: float
    """Of workers and beat, a run."""
    machine_cpu_ms: float
    """Of everything on this machine, a run."""


def idle_throughput(own: World, base_url: str, *, runs: int) -> Throughput:
    """Make so many streams that are due at once, and see how fast they are worked off; none may fail."""
    start_parts(own)
    own.add_connections(base_url, count=runs // 10, every=3600.0, spread=0.001, labelled=True)
    first = _wait_ended(own, runs // 10)
    begun, parts, machine = time.monotonic(), own.cpu(), machine_cpu_seconds()
    last = _wait_ended(own, runs * 95 // 100)
    seconds, done = time.monotonic() - begun, last - first
    parts, machine = own.cpu() - parts, machine_cpu_seconds() - machine
    own.wait_ended(runs)
    outcomes = own.outcomes()
    if set(outcomes) != {"succeeded"}:
        raise RuntimeError(f"Not every run succeeded: {outcomes}\n{own.tails()}")
    return Throughput(done, done / seconds, 1000 * parts / done, 1000 * machine / done)


def start_parts(own: World) -> None:
    """Workers as users start them, and a beat, with a limit to keep; unless they are there."""
    if not own.parts:
        own.add_system("bench", limits=BUDGET)
        own.start_worker()
        own.start_beat()


def _wait_ended(own: World, count: int) -> int:
    def ended() -> bool:
        own.raise_failures()
        return own.ended() >= count

    own.wait(ended, 120, what=f"the end of {count} runs", every=0.1)
    return own.ended()


def cores() -> int:
    """How many processes keep this machine busy."""
    return os.cpu_count() or 1
