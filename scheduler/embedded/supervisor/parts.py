"""What is a part of a running Headrace, how is one of our own programs started, and how long may things take?

Plain data and pure decisions; `supervisor.py` acts on them.
"""

import os
import signal
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from scheduler.embedded.supervisor.processes import Child

SUPERVISED_MARK = "HEADRACE_SUPERVISED_HOME"
"""In the environment of every part and of whatever it starts, so that none can be left behind unrecognised."""

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 30.0


class State(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Part:
    """Something to keep running: a command, or, for a server that knows itself how it is started, `launch`."""

    name: str
    argv: tuple[str, ...] = ()
    launch: Callable[[], Child] | None = None
    """Starts it without waiting until it is ready; called again after each death."""
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of our own environment. Only for `argv`."""
    ready: Callable[[], bool] | None = None
    """Asked again and again until it says yes; should answer within two seconds. None: ready once it lives."""
    ready_timeout: float = 30.0
    group: int = 0
    """Lower groups are ready before higher ones start, and stop after them."""
    stop_signal: int = signal.SIGTERM
    stop_timeout: float = 5.0
    """Then it is killed."""
    death_signal: int = signal.SIGKILL
    """What it gets when the supervisor itself is killed. No politeness by default: a worker whose database goes away
    beside it may hang on, and its runs are leases that lapse. Servers with data choose themselves. Only for `argv`."""


@dataclass(frozen=True)
class PartState:
    """What is known of a part, for a table."""

    name: str
    state: State
    since: datetime
    pid: int | None
    restarts: int
    last_exit: int | None
    """Exit code of its last end; negative for a signal, None if it never ended."""
    log: Path


def restart_delay(deaths: int) -> float:
    """Seconds to wait after that many deaths in a row: 1, 2, 4 … 30."""
    return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(max(deaths, 1) - 1, 10)))


def share_out(timeouts: Sequence[float], total: float) -> list[float]:
    """Shrink the timeouts, all by one measure, so that one after the other they fit into the total."""
    wanted = sum(timeouts)
    factor = 1.0 if wanted <= max(total, 0.0) else max(total, 0.0) / wanted
    return [timeout * factor for timeout in timeouts]


def python_command(*arguments: str) -> tuple[str, ...]:
    """Our own Python. `-P` keeps the folder we were started in off the path: it may hold a `worker.py` of the user's."""
    return (sys.executable, "-P", *arguments)


def headrace_command(*arguments: str) -> tuple[str, ...]:
    """`headrace …` as a child: the same code as this process, whatever `headrace` is on the PATH."""
    return python_command("-m", "scheduler.cli", *arguments)


def part_environment(inherited: Mapping[str, str], home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a part: ours, the home it belongs to, and a path on which our own packages are found first."""
    environment = {
        **inherited,
        "HEADRACE_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        SUPERVISED_MARK: str(home),
        **extra,
    }
    path = _import_path(environment.get("PYTHONPATH", ""), Path(__file__).resolve().parents[3])
    environment.pop("PYTHONPATH", None)
    return environment | ({"PYTHONPATH": path} if path else {})


def _import_path(inherited: str, ours: Path) -> str:
    """Relative entries mean the folder that `-P` shuts out. Where we aren't installed but run from a tree, name it."""
    kept = [entry for entry in inherited.split(os.pathsep) if Path(entry).is_absolute()]
    installed = ours in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return os.pathsep.join(kept if installed else [str(ours), *kept])
