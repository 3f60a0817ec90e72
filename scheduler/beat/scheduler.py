"""Celery beat's scheduler class: what happens at each tick?

The schedule is a column of `streams` and not a list in memory, so a tick costs what is due and not what exists, a changed
interval holds at once, and several beats share the work without a leader. A beat that can't reach Postgres or the broker
says so and goes on trying: an error that leaves `tick` would end the process.
Emits: due_dispatched, runs_woken, tick_failed, runs_rescued, sweep_failed.
"""

import time
from typing import Any, ClassVar

import structlog
from celery.beat import Scheduler

from scheduler.beat.dispatch import BATCH, dispatch_due, seconds_to_next, wake_waiting
from scheduler.beat.sweeps import SWEEPS, Sweep
from worker.errors import HeadraceError
from worker.services import Services, current

log = structlog.get_logger()

PAUSE_AFTER_ERROR = 2.0


class ConnectionScheduler(Scheduler):  # type: ignore[misc]
    """Dispatches due streams, wakes waiting runs, and sweeps up after the dead."""

    max_interval = 1.0
    _schedule: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._swept: dict[str, float] = {}
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
            dispatched = dispatch_due(services.database)
            if dispatched:
                log.info("due_dispatched", streams=dispatched)
            woken = wake_waiting(services.database)
            if woken:
                log.debug("runs_woken", runs=woken)
            return 0.0 if dispatched == BATCH else self._until_next(services)
        except HeadraceError as exc:
            log.warning("tick_failed", error_code=exc.code, error=str(exc))
        except Exception:
            log.exception("tick_failed")
        return PAUSE_AFTER_ERROR

    def _until_next(self, services: Services) -> float:
        seconds = seconds_to_next(services.database)
        return self.max_interval if seconds is None else min(self.max_interval, max(0.05, seconds))

    def _sweep(self, services: Services) -> None:
        now = time.monotonic()
        for sweep in SWEEPS:
            last = self._swept.get(sweep.name)
            if last is None or now - last >= sweep.every:
                self._swept[sweep.name] = now
                self._carry_out(sweep, services)

    def _carry_out(self, sweep: Sweep, services: Services) -> None:
        """One sweep that fails, or finds a lock held, must not keep the streams from their runs."""
        try:
            sweep.run(services)
        except HeadraceError as exc:
            log.warning("sweep_failed", sweep=sweep.name, error_code=exc.code, error=str(exc))
        except Exception:
            log.exception("sweep_failed", sweep=sweep.name)
