"""When is a copy compared with its source, and when is what was set aside worth another try?

Beat keeps the next comparison on the stream's row and moves it on in the statement that finds it due, so several beats ask
once. Emits: verifications_requested, quarantine_retry_requested.
"""

from uuid import uuid4

import structlog

from scheduler.quarantine import retry_what_is_read_differently
from worker.db.queries import sql
from worker.runs.publish import publish
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

log = structlog.get_logger()

DEFAULT = 7 * 86400.0
"""Seconds between two comparisons of a stream whose connection doesn't say."""
BATCH = 200


def plan(services: Services) -> None:
    """Give a time to streams that have none, or an earlier one where the interval became shorter."""
    services.database.run(sql.plan_verifications, {"default": DEFAULT})


def request_due(services: Services) -> None:
    """Ask for the comparisons whose time has come."""
    with services.database.transaction() as connection:
        due = connection.execute(sql.due_verifications, {"default": DEFAULT, "batch": BATCH}).fetchall()
        wanted = [
            request_run(
                connection,
                stream_id=row["id"],
                system=row["system"],
                lane=Lane.BACKFILL,
                cause="verify",
                request_id=f"verify-{uuid4()}",
                track="verify",
            )
            for row in due
        ]
    publish((run.id, run.queue) for run in wanted if run.ready)
    if wanted:
        log.info("verifications_requested", streams=len(wanted))


def retry_quarantines(services: Services) -> None:
    """Where a manifest reads a stream in another way by now, what was set aside of it is tried again."""
    retry_what_is_read_differently(services.database, services.registry)
