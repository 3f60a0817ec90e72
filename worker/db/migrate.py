"""How does a database become ours, and up to date?"""

import sqlalchemy
from alembic import command
from alembic.config import Config

from worker.db.database import Database, check_server, database_errors
from worker.db.schema_version import MIGRATIONS, current_version, head, refuse_newer
from worker.errors import NeedsOperator


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the schema to this version of Headrace; the versions before and after.

    Raises `NeedsOperator` for a Postgres that is too old, for a database that holds something else, and for a schema
    that a newer Headrace has made.
    """
    check_server(database)
    before = current_version(database)
    if before is None:
        _refuse_foreign(database)
    refuse_newer(before)
    if before != head():
        # AUTOCOMMIT is for the workers; a migration is a transaction.
        engine = database.engine.execution_options(isolation_level="READ COMMITTED")
        with database_errors(), engine.connect() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before, head()


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _refuse_foreign(database: Database) -> None:
    with database_errors(), database.engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
    if tables:
        raise NeedsOperator(
            "foreign_database",
            f"The database holds tables that aren't Headrace's ({', '.join(sorted(tables)[:3])}, …).",
            hint="Give Headrace an empty database of its own: CREATE DATABASE headrace.",
        )
