"""How does a command come by the database, and by the means to wake workers?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from worker.config import Settings, load_settings
from worker.db.database import Database
from worker.db.schema_version import check_schema
from worker.errors import InvalidInput
from worker.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from worker.connectors.registry import Registry


def command_settings() -> Settings:
    """The settings. A command speaks to a person, so its log goes to stderr, and only what is wrong goes there."""
    settings = load_settings()
    quiet = settings if settings.log_level == "DEBUG" else settings.model_copy(update={"log_level": "ERROR"})
    configure_logging(quiet, process="cli", stream=sys.stderr)
    return settings


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """A small pool on a database whose schema is this version's, or the error that says what is missing."""
    if settings.url is not None:
        raise InvalidInput(
            "needs_database",
            "This command works on the database itself, and HEADRACE_URL says that this Headrace is elsewhere.",
            hint="Run it there, or without HEADRACE_URL for the database of this machine.",
        )
    database = Database(settings.require_database_url(), name="cli", pool=2)
    try:
        check_schema(database)
        yield database
    finally:
        database.close()


def open_registry(settings: Settings) -> "Registry":
    """All systems that this installation knows."""
    from scheduler.connections.systems import load_systems  # noqa: PLC0415 - not every command needs it

    return load_systems(settings)


def open_publisher(settings: Settings) -> None:
    """Make `publish` work: without it a run would wait for beat."""
    from worker.app import configure  # noqa: PLC0415 - brings Celery, which most commands don't need
    from worker.services import all_queues  # noqa: PLC0415

    configure(settings, all_queues(open_registry(settings).systems()), publisher=True)


def new_request_id() -> str:
    """Goes with everything that this command asks for, through runs and logs."""
    return f"cli-{uuid4()}"
