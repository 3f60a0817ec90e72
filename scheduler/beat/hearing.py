"""Does an event of a webhook wait for nobody? Then a run is asked for.

A webhook asks for its run itself, in its own commit. One that found a run queued which was claimed and over before that
commit is the exception, and so is what failed alone and may be tried again, or lay still while its connection was paused.
Emits: events_remembered.
"""

from uuid import uuid4

import structlog

from worker.db.queries import sql
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish
from worker.services import Services

log = structlog.get_logger()

BATCH = 500


def remember_events(services: Services) -> None:
    """Ask for a run of each stream whose events nobody is at work on."""
    with services.database.transaction() as connection:
        rows = connection.execute(sql.forgotten_events, {"batch": BATCH}).fetchall()
        wanted = [
            request_run(
                connection,
                stream_id=row["id"],
                system=row["system"],
                lane=Lane.WEBHOOK,
                cause="webhook",
                request_id=f"events-{uuid4()}",
                track="events",
            )
            for row in rows
        ]
    publish((run.id, run.queue) for run in wanted if run.ready)
    if wanted:
        log.info("events_remembered", streams=len(wanted))
