"""The Celery tasks: each takes an id, and is harmless when it comes twice, late or for nothing."""

from typing import Any
from uuid import UUID

import structlog

from worker.alone import run_alone
from worker.app import RUN_TASK, celery_app
from worker.engine.perform import carry_out
from worker.errors import HeadraceError
from worker.services import current

log = structlog.get_logger()


@celery_app.task(name=RUN_TASK, bind=True)  # type: ignore[untyped-decorator]
def run(self: Any, run_id: str) -> None:
    """Carry out one run, or what goes before it. What becomes of a run stands on its row; nothing is returned."""
    services = current()
    queue = self.request.delivery_info["routing_key"]
    for next_id in services.turns.take(queue, run_id):
        try:
            if apart := carry_out(services, UUID(next_id)):
                run_alone(services, apart)
        except HeadraceError as exc:
            # Postgres is away: the run's lease lapses and beat brings it back.
            log.warning("run_left_to_its_lease", run_id=next_id, error_code=exc.code, error=str(exc))
