"""The Celery tasks: each takes an id, and is harmless when it comes twice, late or for nothing."""

from uuid import UUID

import structlog

from worker.app import RUN_TASK, celery_app
from worker.engine.perform import carry_out
from worker.errors import HeadraceError
from worker.services import current

log = structlog.get_logger()


@celery_app.task(name=RUN_TASK)  # type: ignore[untyped-decorator]
def run(run_id: str) -> None:
    """Carry out one run. What becomes of it stands on its row; nothing is returned and nothing is raised to Celery."""
    try:
        carry_out(current(), UUID(run_id))
    except HeadraceError as exc:
        # Postgres is away: the run's lease lapses and beat brings it back.
        log.warning("run_left_to_its_lease", run_id=run_id, error_code=exc.code, error=str(exc))
