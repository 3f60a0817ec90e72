"""How does one process at a time do what no row stands for? A lock of Postgres that ends with its holder's connection.

The connection is taken out of the pool for as long: a system is asked meanwhile, and the pool must not run dry.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore

import psycopg

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import HeadraceError, Transient

MOST = 4
"""Connections of one process that are used so at a time."""
PATIENCE = 30.0


class SecretLocks:
    """Locks by the references of secrets, held by one thread of one process at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = BoundedSemaphore(MOST)

    @contextmanager
    def hold(self, reference: str) -> Iterator[None]:
        """Raises `Transient` where another holds it for long."""
        if not self._room.acquire(timeout=PATIENCE):
            raise _busy()
        try:
            with self._locked(reference):
                yield
        finally:
            self._room.release()

    @contextmanager
    def _locked(self, reference: str) -> Iterator[None]:
        with self._database.pooled() as pooled:
            connection = pooled.driver_connection
            assert isinstance(connection, psycopg.Connection)  # noqa: S101 - for the type checker
            pooled.detach()
            try:
                connection.execute(sql.lock_secret, {"reference": reference})
            except psycopg.errors.LockNotAvailable:
                raise _busy() from None
            try:
                yield
            finally:
                with suppress(psycopg.Error, HeadraceError):  # it ends with the connection
                    connection.execute(sql.unlock_secret, {"reference": reference})


def _busy() -> Transient:
    return Transient("login_busy", "Another process is still renewing what this connection logs in with.")
