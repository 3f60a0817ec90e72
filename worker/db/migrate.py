"""Is this database ours and up to date, and how does it become so?"""

from importlib import resources

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from worker.db.database import Database, check_server, database_errors
from worker.errors import NeedsOperator

VERSION_TABLE = "headrace_schema"


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the schema to this version of Headrace; the versions before and after.

    Raises `NeedsOperator` for a Postgres that is too old, for a database that holds something else, and for a schema
    that a newer Headrace has made.
    """
    check_server(database)
    before = _current(database)
    if before is None:
        _refuse_foreign(database)
    _refuse_newer(before)
    # AUTOCOMMIT is for the workers; a migration is a transaction.
    engine = database.engine.execution_options(isolation_level="READ COMMITTED")
    with database_errors(), engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, head()


def check_schema(database: Database) -> None:
    """Raise `NeedsOperator` unless the database is at this version's schema; for commands that must not migrate."""
    check_server(database)
    current = _current(database)
    _refuse_newer(current)
    if current != head():
        raise NeedsOperator(
            "schema_behind",
            f"The database's schema is {current or 'empty'}, and this version needs {head()}.",
            hint="Run `headrace migrate`.",
        )


def head() -> str:
    """The schema's version that this code works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - there is a first migration
    return revision


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("worker.db").joinpath("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def _current(database: Database) -> str | None:
    with database_errors(), database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def _refuse_newer(current: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise NeedsOperator(
            "schema_newer",
            f"The database's schema is {current}, which is newer than this Headrace.",
            hint="Upgrade Headrace, or point HEADRACE_DATABASE_URL at another database.",
        )


def _refuse_foreign(database: Database) -> None:
    with database_errors(), database.engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
    if tables:
        raise NeedsOperator(
            "foreign_database",
            f"The database holds tables that aren't Headrace's ({', '.join(sorted(tables)[:3])}, …).",
            hint="Give Headrace an empty database of its own: CREATE DATABASE headrace.",
        )
