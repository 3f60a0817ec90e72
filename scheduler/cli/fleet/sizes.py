"""How many processes with how many threads suit a machine? Pure; docs/running-workers.md says when to choose otherwise.

A process uses one CPU at most, since Python holds its lock while it parses, so there is one main process for each CPU. A
thread mostly waits, for a system or for Postgres, so a process has many. Bulk work parses and loads more than it waits:
half as many processes with few threads, so that urgent work always finds a CPU.
"""

from dataclasses import dataclass
from typing import Literal

from scheduler.cli.fleet.machine import MEBIBYTE, Machine
from worker.config import Settings

LaneChoice = Literal["main", "bulk", "all"]

ONE_PROCESS = 128 * MEBIBYTE
"""What a process came to at a hundred runs a second, and stayed at."""
MEMORY_SHARE = 0.75
"""The rest is for whatever else runs there."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many processes of each lane, with how many threads each, and why."""

    main: int
    concurrency: int
    bulk: int
    bulk_concurrency: int
    why: str

    @property
    def slots(self) -> int:
        return self.main * self.concurrency + self.bulk * self.bulk_concurrency

    def connections(self, pool: int) -> int:
        """To Postgres, at most: each process has a pool of so many, and one more for its leases."""
        return (self.main + self.bulk) * (pool + 1)


def choose(machine: Machine, settings: Settings, lane: LaneChoice) -> Sizes:
    """What the settings say, and where they say nothing what suits the machine."""
    fits = max(2, int(machine.memory * MEMORY_SHARE / ONE_PROCESS))
    for_bulk = _for_bulk(machine.cpus)
    wanted = machine.cpus + for_bulk
    main, bulk = machine.cpus, for_bulk
    why = f"{machine.cpus} CPUs ({machine.said_by})"
    if wanted > fits:
        main = max(1, fits * machine.cpus // wanted)
        bulk = max(1, fits - main)
        why = f"{machine.memory // MEBIBYTE} MB of memory, which {fits} processes fit in"
    if settings.processes or settings.bulk_processes:
        why = f"as set; by itself it would be {main} + {bulk} for {why}"
    return Sizes(
        main=0 if lane == "bulk" else settings.processes or main,
        concurrency=settings.concurrency,
        bulk=0 if lane == "main" else settings.bulk_processes or bulk,
        bulk_concurrency=settings.bulk_concurrency,
        why=why,
    )


def _for_bulk(cpus: int) -> int:
    return (cpus + 1) // 2
