"""When is a stream swept? At its own place in its interval, once its first history is done.

Beat keeps the next time on the stream's row and moves it on in the statement that finds it due, so several beats ask once.
Emits: sweeps_requested.
"""

import structlog

from scheduler.beat.rounds import request_rounds
from worker.db.queries import sql
from worker.services import Services

log = structlog.get_logger()

DEFAULT = 86400.0
"""Seconds between two sweeps of a stream whose connection doesn't say."""


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
        asked = request_rounds(
            services.database, sql.due_sweeps, default=DEFAULT, track="sweep", cause="schedule"
        )
        if asked:
            log.info("sweeps_requested", streams=asked)
