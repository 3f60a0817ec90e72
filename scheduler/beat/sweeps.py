"""What does beat tidy up beside the schedule, and how often? A table; each sweep is harmless when done twice at once.

Emits: runs_rescued, times_mended.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from scheduler.beat.partitions import keep_partitions
from scheduler.beat.verifying import plan, request_due, retry_quarantines
from worker.db.queries import sql
from worker.runs.publish import send_for
from worker.runs.rescue import rescue_lapsed
from worker.services import Services

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Something that is done every `every` seconds."""

    name: str
    every: float
    run: Callable[[Services], object]


def _rescue(services: Services) -> None:
    rescued = rescue_lapsed(services.database, max_attempts=services.settings.max_attempts)
    send_for(services.database, rescued.wakeups)
    if rescued.saved or rescued.exhausted:
        log.warning("runs_rescued", saved=rescued.saved, exhausted=rescued.exhausted)


def _mend_times(services: Services) -> None:
    found = services.database.one(sql.mend_times)
    if found and any(found.values()):
        log.warning("times_mended", **found)


def _keep_partitions(services: Services) -> None:
    keep_partitions(services.database)


def _forget_processes(services: Services) -> None:
    services.database.run(sql.forget_dead_processes)


def _forget_quarantine(services: Services) -> None:
    services.database.run(sql.forget_quarantine)


SWEEPS = (
    Sweep("rescue", 2.0, _rescue),
    Sweep("times", 300.0, _mend_times),
    Sweep("verify", 5.0, request_due),
    Sweep("verify_plan", 300.0, plan),
    Sweep("retries", 60.0, retry_quarantines),
    Sweep("partitions", 3600.0, _keep_partitions),
    Sweep("processes", 3600.0, _forget_processes),
    Sweep("quarantine", 3600.0, _forget_quarantine),
)
