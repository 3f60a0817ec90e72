"""How many runs of a connection work at a time, where each is a program of its own? As many as were let in first.

The others are given back for some seconds, as before a limit.
"""

from datetime import timedelta

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import LostLease, RateLimited
from worker.runs.claim import Run

AGAIN = 10.0


def wait_for_others(database: Database, run: Run, at_once: int) -> None:
    """Raise RateLimited while so many others are at work; 0: any number may be."""
    if not at_once:
        return
    asked = {"run": run.id, "claim": run.claim_no, "connection": run.connection_id, "at_once": at_once}
    with database.transaction() as connection:
        connection.execute(sql.lock_connection, asked)
        found = connection.execute(sql.admit_run, asked).fetchone()
    assert found is not None  # noqa: S101 - the statement always answers with one row
    if found["admitted"]:
        return
    if found["others"] < at_once:
        raise LostLease(run.id)
    message = f"{found['others']} runs of this connection are at work, and {at_once} may be at a time."
    raise RateLimited("others_first", message, resume_at=run.now() + timedelta(seconds=AGAIN))
