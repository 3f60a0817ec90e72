"""When is a stream swept? At its own place in its interval, once its first history is done.

Beat keeps the next time on the stream's row and moves it on in the statement that finds it due, so several beats ask once.
Emits: sweeps_requested.
"""

from uuid import uuid4

import structlog

from worker.db.queries import sql
from worker.runs.publish import publish
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

log = structlog.get_logger()

DEFAULT = 86400.0
"""Seconds between two sweeps of a stream whose connection doesn't say."""
BATCH = 200
"""Sweeps asked for in one look; more wait for the next."""


class Sweeping:
    """What one beat does about sweeps."""

    def __init__(self) -> None:
        self._anew = True
        """Streams that couldn't be listed are tried once more by a beat that starts: its version may know how."""

    def plan(self, services: Services) -> None:
        """Give a time to streams that have none, or an earlier one where the interval became shorter."""
        services.database.run(sql.plan_sweeps, {"default": DEFAULT, "anew": self._anew})
        self._anew = False

    def request(self, services: Services) -> None:
        """Ask for the sweeps whose time has come."""
        with services.database.transaction() as connection:
            due = connection.execute(sql.due_sweeps, {"default": DEFAULT, "batch": BATCH}).fetchall()
            wanted = [
                request_run(
                    connection,
                    stream_id=row["id"],
                    system=row["system"],
                    lane=Lane.BACKFILL,
                    cause="schedule",
                    request_id=f"sweep-{uuid4()}",
                    track="sweep",
                )
                for row in due
            ]
        publish((run.id, run.queue) for run in wanted if run.ready)
        if wanted:
            log.info("sweeps_requested", streams=len(wanted))
