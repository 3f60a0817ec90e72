"""When is a copy compared with its source, and when is what was set aside worth another try?

Beat keeps the next comparison on the stream's row and moves it on in the statement that finds it due, so several beats ask
once. Emits: verifications_requested, quarantine_retry_requested.
"""

import structlog

from scheduler.beat.rounds import request_rounds
from scheduler.proof.quarantine import retry_what_is_read_differently
from worker.db.queries import sql
from worker.services import Services

log = structlog.get_logger()

DEFAULT = 7 * 86400.0
"""Seconds between two comparisons of a stream whose connection doesn't say."""


def plan(services: Services) -> None:
    """Give a time to streams that have none, or an earlier one where the interval became shorter."""
    services.database.run(sql.plan_verifications, {"default": DEFAULT})


def request_due(services: Services) -> None:
    """Ask for the comparisons whose time has come."""
    asked = request_rounds(
        services.database, sql.due_verifications, default=DEFAULT, track="verify", cause="verify"
    )
    if asked:
        log.info("verifications_requested", streams=asked)


def retry_quarantines(services: Services) -> None:
    """Where a manifest reads a stream in another way by now, what was set aside of it is tried again."""
    retry_what_is_read_differently(services.database, services.registry)
