"""Celery beat's scheduler class: what happens at each tick?

The schedule is a column of `streams` and not a list in memory, so a tick costs what is due and not what exists, a changed
interval holds at once, and several beats share the work without a leader. A beat that can't reach Postgres or the broker
says so and goes on trying: an error that leaves `tick` would end the process.
Emits: due_dispatched, runs_woken, tick_failed, sweep_failed, beat_silent, and what its sweeps emit.
"""

import time
from typing import Any, ClassVar

import structlog
from celery.beat import Scheduler

from scheduler.beat.beside import carry_out
from scheduler.beat.deletes import Sweeping
from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.streams import BATCH, dispatch_due
from scheduler.beat.dispatch.waking import Waking
from scheduler.beat.others import Others, note_round
from scheduler.beat.upkeep.sweeps import SWEEPS, Sweep
from worker.errors import HeadraceError
from worker.services import Services, current

log = structlog.get_logger()

MANY = 64
PAUSE_BACKLOG, PAUSE_BUSY, PAUSE = 0.1, 0.4, 0.5
"""Seconds between rounds: what queues hold must not run out, and what is due may be late by half a second. A round costs
two statements however little there is to do, so the fewer the better."""
PAUSE_AFTER_ERROR = 2.0
NOTE_EVERY = 5.0
BATCHES = 20
"""Full batches in a row; then the sweeps have their turn."""


class ConnectionScheduler(Scheduler):  # type: ignore[misc]
    """Dispatches due streams, wakes waiting runs, and sweeps up after the dead."""

    max_interval = 1.0
    _schedule: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._swept: dict[str, float] = {}
        services = current()
        self._pacing = Pacing.of(services.registry.connectors(), short_wait=services.settings.short_wait)
        self._waking = Waking(self._pacing)
        self._others = Others()
        sweeping = Sweeping()
        self._own_sweeps = (
            Sweep("lost", 1.0, lambda services: self._waking.notice_lost(services.database)),
            Sweep("others", 10.0, lambda services: self._others.look(services.database)),
            Sweep("sweep_times", 300.0, sweeping.plan),
            Sweep("due_sweeps", 5.0, sweeping.request),
        )
        self._noted = float("-inf")
        super().__init__(*args, **kwargs)

    @property
    def schedule(self) -> dict[str, Any]:
        """Celery's own list of entries: empty, for good."""
        return self._schedule

    def setup_schedule(self) -> None:
        """Nothing to set up: the schedule is in Postgres."""

    def sync(self) -> None:
        """Nothing to save, either."""

    def should_sync(self) -> bool:
        return False

    def tick(self) -> float:
        """One round; the seconds until the next."""
        services = current()
        try:
            self._sweep(services)
            woken, dispatched = self._round(services)
            self._note(services)
            return pause(woken=woken, dispatched=dispatched)
        except HeadraceError as exc:
            log.warning("tick_failed", error_code=exc.code, error=str(exc))
        except Exception:
            log.exception("tick_failed")
        return PAUSE_AFTER_ERROR

    def _round(self, services: Services) -> tuple[int, int]:
        """How many runs were woken, and streams dispatched. Who waits already goes first: what is due now may not take
        their room.
        """
        woken = self._waking.wake(services.database)
        if woken:
            log.debug("runs_woken", runs=woken)
        dispatched = 0
        for _ in range(BATCHES):
            batch = dispatch_due(services.database, self._pacing)
            dispatched += batch
            if batch < BATCH:
                break
        if dispatched:
            log.info("due_dispatched", streams=dispatched)
        return woken, dispatched

    def _note(self, services: Services) -> None:
        """Only after a round that went well: one that fails every time is as bad as none."""
        if (now := time.monotonic()) - self._noted >= NOTE_EVERY:
            note_round(services.database, services.worker)
            self._noted = now

    def _sweep(self, services: Services) -> None:
        now = time.monotonic()
        for sweep in (*SWEEPS, *self._own_sweeps):
            last = self._swept.get(sweep.name)
            if last is None or now - last >= sweep.every:
                self._swept[sweep.name] = now
                carry_out(sweep.name, sweep.run, services)


def pause(*, woken: int, dispatched: int) -> float:
    """How long until the next round. A stream starts so much later than its time at most, as long as beat keeps up."""
    if woken >= MANY:
        return PAUSE_BACKLOG
    return PAUSE_BUSY if woken or dispatched >= MANY else PAUSE
