"""Alembic's entry: one transaction a migration, under one advisory lock, never waiting long for a table's lock."""

from alembic import context
from sqlalchemy import Connection, text

from worker.db.tables import metadata

MIGRATION_LOCK = 7_433_110_911
"""Two migrations at once wait for each other here instead of meeting in the middle."""


def run(connection: Connection) -> None:
    # A migration that waits for a lock makes everybody behind it wait too: give up early and be run again.
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("SET statement_timeout = '10min'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)").bindparams(key=MIGRATION_LOCK))
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            version_table="headrace_schema",
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)").bindparams(key=MIGRATION_LOCK))
        connection.commit()


run(context.config.attributes["connection"])
