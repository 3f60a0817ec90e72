"""The Celery tasks: each takes an id, and is harmless when it comes twice, late or for nothing."""

from typing import Any
from uuid import UUID

import structlog

from worker.app import DELIVER_TASK, RUN_TASK, celery_app
from worker.engine.perform import carry_out
from worker.errors import HeadraceError
from worker.outbound.deliver import deliver as deliver_events
from worker.services import current
from worker.supervision.alone import run_alone

log = structlog.get_logger()


@celery_app.task(name=RUN_TASK, bind=True)  # type: ignore[untyped-decorator]
def run(self: Any, run_id: str) -> None:
    """Carry out one run, or what goes before it. What becomes of a run stands on its row; nothing is returned."""
    services = current()
    queue = self.request.delivery_info["routing_key"]
    for next_id in services.turns.take(queue, run_id):
        try:
            if apart := carry_out(services, UUID(next_id), urgent=queue.endswith(".live")):
                run_alone(services, apart)
        except HeadraceError as exc:
            # Postgres is away: the run's lease lapses and beat brings it back.
            log.warning("run_left_to_its_lease", run_id=next_id, error_code=exc.code, error=str(exc))


@celery_app.task(name=DELIVER_TASK)  # type: ignore[untyped-decorator]
def deliver(subscription: int) -> None:
    """Tell a subscription what changed. What became of it stands on its row."""
    services = current()
    try:
        deliver_events(
            services.database, services.courier, subscription, stopping=lambda: services.leases.draining
        )
    except HeadraceError as exc:
        log.warning(
            "delivery_left_to_its_lease", subscription=subscription, error_code=exc.code, error=str(exc)
        )
