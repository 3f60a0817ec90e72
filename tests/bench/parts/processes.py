"""What did a group of processes cost? CPU seconds and memory, of the live ones and their children."""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import psutil

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all below them."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                found[each.pid] = each
    return list(found.values())


def cpu_seconds(*pids: int) -> float:
    """User and system time so far, of these and everything below them, and of children that have ended."""
    total = 0.0
    for process in family(pids):
        with suppress(OSError, ValueError):
            fields = _stat(process.pid)
            total += sum(int(field) for field in fields[11:15]) / _TICKS
    return total


def resident_mb(*pids: int) -> float:
    """Memory of these and everything below them; what they share counts for each."""
    total = 0
    for process in family(pids):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 2**20


def machine_cpu_seconds() -> float:
    """What all programs of this machine took so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - thousands of times
        return file.read().rsplit(")", 1)[1].split()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one measurement."""

    cpu: float
    peak_mb: float


class Watch:
    """Watches processes during a block: `cost` afterwards."""

    def __init__(self, *pids: int, every: float = 0.05) -> None:
        self._pids = pids
        self._every = every
        self._ended = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.cost = Cost(0.0, 0.0)

    def __enter__(self) -> Self:
        self._began = cpu_seconds(*self._pids)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._sample()
        self.cost = Cost(cpu_seconds(*self._pids) - self._began, self._peak / 2**20)

    def _look(self) -> None:
        while not self._ended.wait(self._every):
            self._sample()

    def _sample(self) -> None:
        """The largest single process counts: a limit of memory is for one."""
        for process in family(self._pids):
            with suppress(psutil.Error):
                self._peak = max(self._peak, process.memory_info().rss)
