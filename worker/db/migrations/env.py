"""Alembic's entry: one transaction a migration, under one advisory lock, never waiting long for a table's lock."""

import time
from threading import Event

from alembic import context
from sqlalchemy import Connection, text

from worker.db.tables import metadata
from worker.errors import Transient

MIGRATION_LOCK = 7_433_110_911
"""Two migrations at once wait for each other here instead of meeting in the middle."""
PATIENCE = 4.0
_never = Event()


def run(connection: Connection) -> None:
    # A migration that waits for a lock makes everybody behind it wait too: give up early and be run again.
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("SET statement_timeout = '10min'"))
    _lock(connection)
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


def _lock(connection: Connection) -> None:
    """Asked for again and again: a statement that waits keeps a snapshot, and an index that is built beside waits for those."""
    patience = time.monotonic() + PATIENCE
    while True:
        taken = connection.execute(text("SELECT pg_try_advisory_lock(:key)").bindparams(key=MIGRATION_LOCK))
        got = taken.scalar_one()
        connection.commit()
        if got:
            return
        if time.monotonic() > patience:
            raise Transient("migration_running", "Another process is bringing the schema up to date.")
        _never.wait(0.1)


run(context.config.attributes["connection"])
