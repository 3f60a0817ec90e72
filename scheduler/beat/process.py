"""How does a beat process start, and how does it stop?"""

import signal
from types import FrameType
from typing import Any

import psycopg
import sqlalchemy.event
import structlog
from celery.beat import Service

from scheduler.beat.scheduler import ConnectionScheduler
from worker.app import celery_app
from worker.config import Settings
from worker.db.database import Database
from worker.db.schema_version import check_schema
from worker.http.troubles import secret_troubles
from worker.runs.alive import Alive, process_name
from worker.services import Services, serving

log = structlog.get_logger()


def run_beat(settings: Settings) -> None:
    """Dispatch due streams until SIGTERM. Emits: beat_started, beat_stopped."""
    services = Services.open(settings, name=f"beat {process_name()}")
    try:
        check_schema(services.database)
        _search_by_index(services.database)
        alive = Alive(services.database, "beat", troubles=secret_troubles)
        alive.start()
        service = Service(
            celery_app, max_interval=ConnectionScheduler.max_interval, scheduler_cls=ConnectionScheduler
        )

        def stop(_signal: int, _frame: FrameType | None) -> None:
            service.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        log.info("beat_started")
        try:
            with serving(services):
                service.start()
        finally:
            alive.stop()
            log.info("beat_stopped")
    finally:
        services.close()


def _search_by_index(database: Database) -> None:
    """A plan that was made while a table was small is kept, and must not read all of it once it is large."""

    def forbid_scans(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.execute("SET enable_seqscan = off")

    sqlalchemy.event.listen(database.engine, "connect", forbid_scans)
    database.engine.dispose()
