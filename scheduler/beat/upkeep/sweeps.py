"""What does beat tidy up beside the schedule, and how often? A table; each sweep is harmless when done twice at once.

What may take longer than a moment goes on a thread beside the rounds, which dispatch what is due twice a second.

Emits: runs_rescued, times_mended.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from scheduler.beat.beside import Beside
from scheduler.beat.hearing import remember_events
from scheduler.beat.meter import judge_misses
from scheduler.beat.upkeep.retention import Pruning, finish_removals, keep_all_partitions
from scheduler.beat.upkeep.versions import look_at_manifests, pin_connections
from scheduler.beat.upkeep.viewing import Viewing
from scheduler.beat.verifying import plan, request_due, retry_quarantines
from scheduler.keeping.erasure.rescreen import rescreen
from scheduler.webhooks.registering.tending import tend_registrations
from worker.db.queries import sql
from worker.engine.planning.lateness import KEPT_DAYS
from worker.feed.epoch import keep_epoch
from worker.outbound.waking import wake_deliveries
from worker.runs.rescue import rescue_lapsed
from worker.runs.wakeups.publish import send_for
from worker.services import Services

log = structlog.get_logger()

KEPT_PLACE_DAYS = 7
"""So long the place of what ended early is kept for whoever wants to see it."""


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


def _forget_processes(services: Services) -> None:
    services.database.run(sql.forget_dead_processes)


def _forget_lateness(services: Services) -> None:
    services.database.run(sql.forget_lateness, {"days": KEPT_DAYS})


def _forget_places(services: Services) -> None:
    services.database.run(sql.forget_places, {"days": KEPT_PLACE_DAYS})


def _finish_removals(services: Services) -> None:
    finish_removals(services.database)


def _rescreen(services: Services) -> None:
    rescreen(services.database, services.registry, services.settings)


_beside = Beside()
_registrars = Beside()
"""On a thread of its own: it waits for systems."""
_pruning = Pruning()
_viewing = Viewing()


def _keep_feed(services: Services) -> None:
    keep_epoch(services.database)


def _wake_deliveries(services: Services) -> None:
    wake_deliveries(services.database)


SWEEPS = (
    Sweep("deliveries", 1.0, _wake_deliveries),
    Sweep("events", 1.0, remember_events),
    Sweep("feed", 2.0, _keep_feed),
    Sweep("rescue", 2.0, _rescue),
    Sweep("times", 300.0, _mend_times),
    Sweep("partitions", 3600.0, keep_all_partitions),
    Sweep("processes", 3600.0, _forget_processes),
    Sweep("lateness", 3600.0, _forget_lateness),
    Sweep("places", 3600.0, _forget_places),
    Sweep("retention", 5.0, _beside.sweep("retention", _pruning.prune)),
    Sweep("removals", 2.0, _beside.sweep("removals", _finish_removals)),
    Sweep("fields", 10.0, _beside.sweep("fields", _rescreen)),
    Sweep("room", 3600.0, _beside.sweep("room", _pruning.watch_room)),
    Sweep("verify", 5.0, request_due),
    Sweep("verify_plan", 300.0, plan),
    Sweep("misses", 30.0, _beside.sweep("misses", judge_misses)),
    Sweep("registrations", 5.0, _registrars.sweep("registrations", tend_registrations)),
    Sweep("manifests", 5.0, look_at_manifests),
    Sweep("pins", 60.0, pin_connections),
    Sweep("retries", 60.0, _beside.sweep("retries", retry_quarantines)),
    Sweep("views", 5.0, _viewing.tend),
)
