"""How does one `headrace worker` serve both lanes?

By two processes, since bulk must never sit in the way of what is urgent. They live and die together: should one end by
itself, the other is stopped, too, and whoever started us (systemd, Kubernetes, a person) sees it and starts us again.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from scheduler.embedded.supervisor.parts import headrace_command, part_environment
from scheduler.embedded.supervisor.processes import Child, spawn
from worker.config import Settings

STOP_WITHIN = 45.0
"""A worker gives its runs back at a page's end; after this it is killed, and their leases lapse."""

_LOOK_EVERY = 0.2

log = structlog.get_logger()


def run_lanes(settings: Settings, systems: Sequence[str]) -> int:
    """Run both until one ends or we are told to stop; the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    named = [part for system in systems for part in ("--system", system)]
    children = {lane: _start(settings, "worker", "--lane", lane, *named) for lane in ("main", "bulk")}
    while not stop.wait(_LOOK_EVERY) and all(child.alive for child in children.values()):
        pass
    for child in children.values():
        child.send(signal.SIGTERM)
    for child in children.values():
        child.wait(STOP_WITHIN)
        child.kill()
    if stop.is_set():
        return 0
    for lane, child in children.items():
        log.error("worker_ended", lane=lane, exit_code=child.exit_code)
    return 1


def _start(settings: Settings, *arguments: str) -> Child:
    environment = part_environment(os.environ, settings.home, {})
    environment.pop("HEADRACE_SUPERVISED_HOME", None)  # these are ours, not those of a `headrace up`
    return spawn(
        headrace_command(*arguments),
        log=sys.stdout.fileno(),
        env=environment,
        folder=Path.cwd(),
        death_signal=signal.SIGTERM,
    )
