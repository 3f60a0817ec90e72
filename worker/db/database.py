"""How does a process talk to Postgres?

One pool per process (SQLAlchemy's), handing out plain psycopg connections in autocommit: a single statement is one
round trip, and a transaction says so. No connection is held while a system is asked. A connection that broke takes the
whole pool with it: after a restart of Postgres, the others are broken too.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, cast

import psycopg
import sqlalchemy
import structlog
from psycopg.pq import PipelineStatus
from psycopg.rows import DictRow, dict_row, tuple_row
from sqlalchemy.pool import PoolProxiedConnection

from worker.errors import NeedsOperator, Transient

log = structlog.get_logger()

Params = Mapping[str, Any]
MINIMUM_VERSION = 160000
CONNECT_TIMEOUT = 5
LOST_LEASE = "HR001"
"""The SQLSTATE that `headrace_require_lease` raises."""
OURS = "HR"
"""How those begin that our own functions raise: they say nothing of the server."""


class Database:
    """Postgres, as one process uses it. Safe to share between threads; never carried across a fork."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        pool: int = 8,
        overflow: int | None = None,
        idle_in_transaction_timeout: float = 60.0,
        statement_timeout: float = 0.0,
        lock_timeout: float = 10.0,
    ) -> None:
        """`overflow`: connections on top of `pool` at busy moments, as many again unless told; 0 seconds: no time-out."""
        self._engine = sqlalchemy.create_engine(
            sqlalchemy_url(url),
            isolation_level="AUTOCOMMIT",
            pool_size=pool,
            max_overflow=pool if overflow is None else overflow,
            pool_timeout=30,
            pool_use_lifo=True,
            connect_args={
                "application_name": f"headrace {name}"[:63],
                "connect_timeout": CONNECT_TIMEOUT,
                # A cut that nobody says anything about is noticed within half a minute, and not after a quarter of an hour.
                "keepalives_idle": 15,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 30_000,
                "options": f"-c idle_in_transaction_session_timeout={int(idle_in_transaction_timeout * 1000)}"
                f" -c statement_timeout={int(statement_timeout * 1000)} -c lock_timeout={int(lock_timeout * 1000)} -c timezone=UTC",
            },
        )

    @property
    def engine(self) -> sqlalchemy.Engine:
        """For migrations, and for lists that are put together from filters."""
        return self._engine

    def connection(self) -> AbstractContextManager[psycopg.Connection[DictRow]]:
        """A connection in autocommit: each statement is a transaction of its own."""
        return _Borrowed(self._engine)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[DictRow]]:
        """A connection in a transaction that is committed at the end, or rolled back by an error."""
        with self.connection() as connection, connection.transaction():
            yield connection

    @contextmanager
    def trip(self) -> Iterator[psycopg.Connection[DictRow]]:
        """A transaction that is sent in as few trips as its answers allow: see `in_one_trip`."""
        with self.connection() as connection, in_one_trip(connection):
            yield connection

    @contextmanager
    def pooled(self) -> Iterator[PoolProxiedConnection]:
        """The pooled connection itself; its `info` lives as long as the connection to Postgres does."""
        borrowed = _Borrowed(self._engine)
        with borrowed:
            yield borrowed.pooled

    def all(self, statement: str, params: Params | None = None) -> list[DictRow]:
        with self.connection() as connection:
            return connection.execute(statement, params).fetchall()

    def filtered(self, statement: str, params: Params) -> list[DictRow]:
        """The same for one with filters that may be left out: planned for those that are given, each time.

        A plan that is kept fits all of them alike, so it walks the whole table for the few rows of one connection.
        """
        with self.connection() as connection:
            return connection.execute(statement, params, prepare=False).fetchall()

    def one(self, statement: str, params: Params | None = None) -> DictRow | None:
        with self.connection() as connection:
            return connection.execute(statement, params).fetchone()

    def run(self, statement: str, params: Params | None = None) -> int:
        """Carry out a statement without rows; the number of rows that it touched."""
        with self.connection() as connection:
            return connection.execute(statement, params).rowcount

    def another(self, *, name: str, pool: int, lock_timeout: float = 10.0) -> "Database":
        """The same Postgres with connections of its own, for work that must not wait for the others'."""
        url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return Database(url, name=name, pool=pool, overflow=0, lock_timeout=lock_timeout)

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def in_one_trip(connection: psycopg.Connection[DictRow]) -> Iterator[None]:
    """Send statements without waiting for each; together they are a transaction, without BEGIN and COMMIT.

    Postgres undoes all of it where one of them fails. Where Python does between two, the end of the pipeline would commit
    those that were sent: the connection is given up instead.
    """
    with connection.pipeline():
        try:
            yield
        except BaseException:
            if connection.pgconn.pipeline_status != PipelineStatus.ABORTED:
                connection.close()
            raise


class _Borrowed(AbstractContextManager[psycopg.Connection[DictRow]]):
    """A connection of the pool, for the length of a block. A class, because a run borrows one for each statement."""

    __slots__ = ("_connection", "_engine", "pooled")

    pooled: PoolProxiedConnection

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine

    def __enter__(self) -> psycopg.Connection[DictRow]:
        try:
            self.pooled = self._engine.raw_connection()
        except Exception as exc:
            raise_translated(exc)
            raise
        self._connection = cast("psycopg.Connection[DictRow]", self.pooled.driver_connection)
        self._connection.row_factory = dict_row
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = cast("psycopg.Connection[Any]", self._connection)
        if error is not None and (connection.broken or connection.closed):
            self.pooled.invalidate()
            self._engine.dispose(close=False)
        # SQLAlchemy's own statements, on the same pool, expect tuples.
        connection.row_factory = tuple_row
        try:
            self.pooled.close()
        except Exception as exc:
            raise_translated(error or exc)
            raise
        if isinstance(error, Exception):
            raise_translated(error)


def sqlalchemy_url(url: str) -> sqlalchemy.URL:
    """`postgresql://…` and `postgres://…` as SQLAlchemy wants them, for psycopg 3."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise NeedsOperator(
            "bad_database_url",
            "HEADRACE_DATABASE_URL can't be read.",
            hint="It looks like postgresql://user:password@host:5432/database.",
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise NeedsOperator(
            "bad_database_url",
            f"HEADRACE_DATABASE_URL names {parsed.get_backend_name()}, and Headrace keeps its copy in Postgres.",
            hint="It looks like postgresql://user:password@host:5432/database.",
        )
    return parsed.set(drivername="postgresql+psycopg")


def raise_translated(exc: BaseException) -> None:
    """Translate what psycopg and SQLAlchemy raise, once, at this edge; errors of our own, and what says nothing of the server, pass."""
    if isinstance(exc, psycopg.errors.DiskFull):
        raise NeedsOperator(
            "disk_full", "Postgres has no disk space left.", hint="Free space on its volume; nothing is lost."
        ) from exc
    if isinstance(exc, _AWAY) and not exceeds_limit(exc) and not sqlstate_of(exc).startswith(OURS):
        raise Transient("database_unavailable", f"Postgres can't be used now: {_words(exc)}.") from exc


@contextmanager
def database_errors() -> Iterator[None]:
    """The same for a block."""
    try:
        yield
    except Exception as exc:
        raise_translated(exc)
        raise


_AWAY = (
    psycopg.OperationalError,
    psycopg.InternalError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.TimeoutError,
)


def exceeds_limit(exc: BaseException) -> bool:
    """Postgres refuses what was sent, as too deep or too long (class 54): that says nothing about the server."""
    return sqlstate_of(exc).startswith("54")


def sqlstate_of(exc: BaseException) -> str:
    return (exc.sqlstate or "") if isinstance(exc, psycopg.Error) else ""


def _words(exc: BaseException) -> str:
    """The first line of what Postgres says; it names host and user, and no password."""
    origin = getattr(exc, "orig", None) or exc
    return str(origin).strip().split("\n")[0].rstrip(".") or type(origin).__name__


def check_server(database: Database) -> None:
    """Raise `NeedsOperator` for a Postgres that is too old."""
    with database.connection() as connection:
        version = connection.info.server_version
    if version < MINIMUM_VERSION:
        raise NeedsOperator(
            "postgres_too_old",
            f"Postgres {version // 10000} is too old.",
            hint="Headrace needs Postgres 16 or newer.",
        )
