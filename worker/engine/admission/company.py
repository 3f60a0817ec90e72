"""How many runs of a connection work at a time, where each is a program of its own? Those that were claimed first.

The others are given back for some seconds, as before a limit. Two that are claimed in the very same moment may not see each
other: it is a bound on what a machine bears, and none that a system counts.
"""

from datetime import timedelta

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import RateLimited
from worker.runs.claim import Run

AGAIN = 10.0


def wait_for_others(database: Database, run: Run, at_once: int) -> None:
    """Raise RateLimited while so many others are at work; 0: any number may be."""
    if not at_once:
        return
    found = database.one(sql.runs_before, {"run": run.id, "connection": run.connection_id})
    if found is not None and found["others"] >= at_once:
        message = f"{found['others']} runs of this connection are at work, and {at_once} may be at a time."
        raise RateLimited("others_first", message, resume_at=run.now() + timedelta(seconds=AGAIN))
