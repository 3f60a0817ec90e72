"""How does one `headrace worker` use a whole machine, and keep doing so?

It starts a process of its own for each worker and looks after them: one that dies is started again, after a pause that
grows; the others don't notice. SIGTERM is passed on, and we end when all have. Promise: when we are killed, none is left
behind: the kernel tells them (Linux), and they look for us themselves (everywhere).
Emits: fleet_started, too_few_connections, worker_ended, worker_restarted, worker_not_started, worker_killed, fleet_stopped.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from scheduler.cli.fleet.machine import MEBIBYTE, look_at_machine
from scheduler.cli.fleet.member import Member
from scheduler.cli.fleet.sizes import LaneChoice, Sizes, choose
from scheduler.embedded.supervisor.parts import SUPERVISED_MARK, headrace_command, part_environment
from scheduler.embedded.supervisor.processes import Child, spawn
from worker.config import Settings
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.supervision.ending import STANDS

LOOK_EVERY = 0.1
GRACE = 10.0
"""A process ends by itself within `stop_within` and the moments that it takes to hand over; what hangs on is killed."""
ARENAS = "2"
"""glibc gives each thread an arena of its own, and each keeps what it once held: with few, memory stays flat."""

CONNECTIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS allowed
"""
FOR_THE_REST = 20
"""Connections of beat, the API, commands, and people."""

log = structlog.get_logger()

_pause = threading.Event()
"""Never set, not by a signal either: see `Told`."""


@dataclass(slots=True)
class Told:
    """What signals have said. Without a lock, as an event has one: a signal that comes while another is heard, or while
    we look, would wait for it for ever.
    """

    stop: bool = False
    stood: bool = False
    """One process at least has served its queues."""

    def listen(self) -> None:
        ends = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` starts us
            ends.append(signal.SIGHUP)
        for number in (STANDS, *ends):
            signal.signal(number, self.hear)

    def hear(self, number: int, _frame: FrameType | None = None) -> None:
        if number == STANDS:
            self.stood = True
        else:
            self.stop = True


def run_fleet(settings: Settings, systems: Sequence[str], lane: LaneChoice) -> int:
    """Run them until we are told to stop; the exit code."""
    told = Told()
    told.listen()
    machine = look_at_machine()
    sizes = choose(machine, settings, lane)
    log.info(
        "fleet_started",
        main_processes=sizes.main,
        concurrency=sizes.concurrency,
        bulk_processes=sizes.bulk,
        bulk_concurrency=sizes.bulk_concurrency,
        slots=sizes.slots,
        chosen=sizes.why,
        cpus=machine.cpus,
        memory_mb=machine.memory // MEBIBYTE,
    )
    _count_connections(settings, sizes)
    members = _members(settings, sizes, systems)
    code = 0
    try:
        for member in members:
            member.start(time.monotonic())
        while code == 0 and not told.stop:
            _pause.wait(LOOK_EVERY)
            now = time.monotonic()
            code = next((found for member in members if (found := member.tend(now, stood=told.stood))), 0)
    finally:
        _stop(members, settings.stop_within + GRACE)
        log.info("fleet_stopped")
    return code


def _count_connections(settings: Settings, sizes: Sizes) -> None:
    """Say so where Postgres would turn some of our connections away, which only shows once there is much to do."""
    database = Database(settings.require_database_url(), name="fleet", pool=1)
    try:
        found = database.one(CONNECTIONS)
    except HeadraceError:
        return  # a worker that meets this says it, and ends as it must
    finally:
        database.close()
    needed = sizes.connections(settings.database_pool)
    if found and found["allowed"] < needed + FOR_THE_REST:
        log.warning(
            "too_few_connections",
            allowed=found["allowed"],
            needed=needed + FOR_THE_REST,
            hint=f"Raise max_connections of Postgres to {needed + FOR_THE_REST}, or start fewer processes.",
        )


def _members(settings: Settings, sizes: Sizes, systems: Sequence[str]) -> list[Member]:
    environment = _environment(settings, os.environ)
    named = [part for system in systems for part in ("--system", system)]

    def member(lane: str, number: int) -> Member:
        arguments = (
            *("worker", "--one-process", "--lane", lane, "--supervisor", str(os.getpid())),
            *("--concurrency", str(sizes.concurrency), "--bulk-concurrency", str(sizes.bulk_concurrency)),
            *named,
        )
        return Member(f"{lane}-{number}", lambda: _launch(arguments, environment))

    return [
        *(member("main", number + 1) for number in range(sizes.main)),
        *(member("bulk", number + 1) for number in range(sizes.bulk)),
    ]


def _launch(arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
    return spawn(
        headrace_command(*arguments),
        log=sys.stdout.fileno(),
        env=environment,
        folder=Path.cwd(),
        # Below `headrace up` nobody waits: its Postgres goes away in the same moment.
        death_signal=signal.SIGKILL if SUPERVISED_MARK in environment else signal.SIGTERM,
    )


def _environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    environment = part_environment(inherited, settings.home, {})
    if SUPERVISED_MARK not in inherited:
        del environment[SUPERVISED_MARK]  # these are ours, not those of a `headrace up`
    return {"MALLOC_ARENA_MAX": ARENAS, **environment}


def _stop(members: Sequence[Member], patience: float) -> None:
    for member in members:
        member.ask_to_stop()
    until = time.monotonic() + patience
    for member in members:
        member.finish_stop(max(0.0, until - time.monotonic()))
