"""How much of this machine may we use?

A container sees all CPUs and all memory of its host. What it may use stands in its control groups (version 2 or 1) and,
for CPUs, in the affinity that it was given. The smallest of them counts.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

MEBIBYTE = 1024 * 1024
ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Machine:
    """What we may use, and what says so."""

    cpus: int
    memory: int
    """Bytes."""
    said_by: str
    """`machine`, `affinity` or `cgroup`: where the number of CPUs comes from."""


def look_at_machine() -> Machine:
    """What this process may use of the machine that it runs on."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return measured(
        ROOT, installed=os.cpu_count() or 1, affinity=affinity, memory=psutil.virtual_memory().total
    )


def measured(root: Path, *, installed: int, affinity: int | None, memory: int) -> Machine:
    """The same from what is known already, and from the control groups below `root`."""
    cpus, said_by = installed, "machine"
    if affinity is not None and affinity < cpus:
        cpus, said_by = affinity, "affinity"
    quota = min(_quotas(root), default=math.inf)
    if quota < cpus:
        # Half a CPU more is worth a process: what it can't compute, it waits for.
        cpus, said_by = max(1, math.ceil(quota)), "cgroup"
    return Machine(cpus, min([memory, *_memory_limits(root)]), said_by)


def _quotas(root: Path) -> Iterator[float]:
    for folder in _groups(root, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[int]:
    """Beyond `memory.high` nothing is ended, but everything waits for memory: there is no use in going there."""
    for folder in _groups(root, "memory"):
        for file in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            if (said := _read(folder / file)).isdecimal():
                yield int(said)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Our group and those around it: any of them may hold a limit."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        group = top / path.lstrip("/")
        yield top
        while group != top and top in group.parents:
            yield group
            group = group.parent


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
