"""The same plant in a real Postgres, which a user of its own reads who may nothing else: a server can be away, full or slow."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import sqlalchemy as sa
from connectors.doubles.sql import PARTS_GONE, Sql, order, place
from sqlalchemy.pool import NullPool

from scheduler.connectors.check import Complaint, Table
from scheduler.connectors.check.double.any_double import Kind
from scheduler.connectors.check.double.times import MICROSECOND, SECOND

PASSWORD = "reads-and-nothing-else"


class SqlOnPostgres(Sql):
    """Each double is a schema and a user."""

    played_by = "a real database of Postgres, whose rows the checks change"
    server: ClassVar[str]
    """An empty database, and who may do anything there."""
    secrets: ClassVar[Mapping[str, str]] = {"password": PASSWORD}
    troubles: ClassVar[Mapping[str, Kind]] = {
        "forbidden": "operator",
        "failing": "transient",
        "silent": "transient",
        "throttled": "rate_limited",
    }
    tables: ClassVar[Mapping[str, Table]] = {
        **Sql.tables,
        "orders": Table(content=order, unit=SECOND),
        "bins": Table(
            key="bin", keyed=("site", "bin"), content=place, changed="counted_at", unit=MICROSECOND
        ),
    }
    types: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "orders": {"id": "int primary key", "name": "text", "state": "text", "updated_at": "timestamp"},
        "parts": {"number": "text primary key", "name": "text", "revision": "bigint"},
        "bins": {"site": "text", "bin": "int", "name": "text", "counted_at": "timestamptz"},
        "work": {"id": "int primary key", "name": "text", "updated_at": "timestamp"},
        "sites": {"id": "int primary key", "name": "text"},
        PARTS_GONE: {"number": "text primary key", "gone_at": "bigint"},
    }

    def __exit__(self, *_: object) -> None:
        self._run(f"DROP SCHEMA {self._name} CASCADE")
        self._run(f"DROP OWNED BY {self._name}")
        self._run(f"DROP ROLE {self._name}")
        self._connection.close()

    def _begin(self) -> None:
        self._name = f"plant_{uuid4().hex[:12]}"
        server = sa.make_url(self.server).set(drivername="postgresql+psycopg")
        found = server.set(drivername="postgresql", username=self._name)._replace(password=None)
        self.url = found.render_as_string(hide_password=False)
        self._engine = sa.create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()
        for statement in (
            f"CREATE ROLE {self._name} LOGIN PASSWORD '{PASSWORD}'",
            f"CREATE SCHEMA {self._name}",
            f"GRANT USAGE ON SCHEMA {self._name} TO {self._name}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {self._name} GRANT SELECT ON TABLES TO {self._name}",
            f"SET search_path = {self._name}",
        ):
            self._run(statement)

    def settings(self) -> Mapping[str, Any]:
        """Times are those of the database: none is a text."""
        said = dict(super().settings())
        streams = said["describe"]["streams"]
        for name in ("orders", "work", "bins"):
            streams[name]["incremental"].pop("format", None)
        streams["work"]["query"] = f"SELECT * FROM {self._name}.work"
        return {**said, "schema": self._name}

    def write(self, stream: str, at: datetime) -> Any:
        local = at.astimezone(UTC) if stream == "bins" else at.astimezone(self.zone).replace(tzinfo=None)
        text, dot, fraction = local.isoformat().partition(".")
        digits, plus, offset = fraction.partition("+")
        return text + dot + digits.rstrip("0") + plus + offset

    def complaints(self) -> Sequence[Complaint]:
        return [
            Complaint("a table that is gone", "no_table", "operator", words="does not exist"),
            Complaint("a column that is gone", "no_column", "operator", words="has no column"),
        ]

    @contextmanager
    def suffering(self, trouble: str) -> Iterator[None]:
        """Somebody else's doing, at the database."""
        if trouble in {"no_table", "no_column"}:
            with super().suffering(trouble):
                yield
            return
        if trouble == "silent":
            with self._engine.connect().execution_options(isolation_level="READ COMMITTED") as other:
                for table in self.types:
                    other.execute(sa.text(f"LOCK TABLE {self._name}.{table}"))
                yield
            return
        begin, end = self._statements[trouble]
        run = self._elsewhere if trouble == "failing" else self._run
        run(begin)
        if trouble != "forbidden":
            self._run(
                f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = '{self._name}'"
            )
        try:
            yield
        finally:
            run(end)

    def _elsewhere(self, statement: str) -> None:
        """By a connection to another database: none can shut the one that it is in."""
        url = self._engine.url.set(database="postgres")
        engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))

    @property
    def _statements(self) -> Mapping[str, tuple[str, str]]:
        tables, role = f"SELECT ON ALL TABLES IN SCHEMA {self._name}", f"ALTER ROLE {self._name}"
        here = f"ALTER DATABASE {self._connection.engine.url.database} ALLOW_CONNECTIONS"
        return {
            "forbidden": (f"REVOKE {tables} FROM {self._name}", f"GRANT {tables} TO {self._name}"),
            "throttled": (f"{role} CONNECTION LIMIT 0", f"{role} CONNECTION LIMIT -1"),
            "failing": (f"{here} false", f"{here} true"),
        }
