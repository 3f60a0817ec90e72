"""How does beat ask for runs of streams whose next sweep or comparison has come?"""

from uuid import uuid4

from worker.db.database import Database
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish

BATCH = 200
"""Asked for in one look; more wait for the next."""


def request_rounds(database: Database, due: str, *, default: float, track: str, cause: str) -> int:
    """How many were asked for. `due` finds the streams and moves their times on; `default` is for those that say none."""
    with database.transaction() as connection:
        rows = connection.execute(due, {"default": default, "batch": BATCH}).fetchall()
        wanted = [
            request_run(
                connection,
                stream_id=row["id"],
                system=row["system"],
                lane=Lane.BACKFILL,
                cause=cause,
                request_id=f"{track}-{uuid4()}",
                track=track,
            )
            for row in rows
        ]
    publish((run.id, run.queue) for run in wanted if run.ready)
    return len(wanted)
