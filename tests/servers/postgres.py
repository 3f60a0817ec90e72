"""A real Postgres for a test session, and a fresh database for each test that asks for one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from scheduler.embedded.postgres.server import EmbeddedPostgres
from worker.db.database import Database
from worker.db.migrate import migrate

TEMPLATE = "headrace_template"
_numbers = count(1)


def make_template(url: str) -> None:
    """What every fresh database starts with: the schema."""
    database = Database(url, name="template", pool=1)
    try:
        migrate(database)
    finally:
        database.close()


def at_database(url: str, name: str) -> str:
    """The same server, another database."""
    before, _, after = url.rpartition(f"/{conninfo_to_dict(url)['dbname']}")
    return f"{before}/{name}{after}"


class PostgresServer:
    """One embedded Postgres; databases are copies of a template, which takes some 20 ms."""

    def __init__(self, embedded: EmbeddedPostgres) -> None:
        self.embedded = embedded
        self._has_template = False
        self._kept: psycopg.Connection | None = None

    @property
    def url(self) -> str:
        return self.embedded.url

    def execute(self, statement: sql.Composable) -> None:
        """Run one statement outside a transaction, as superuser."""
        self._connection().execute(statement)

    def _connection(self) -> psycopg.Connection:
        """Kept between tests: two new ones for each take half as long as its database."""
        if self._kept is None or self._kept.closed:
            self._kept = psycopg.connect(self.url, dbname="postgres", autocommit=True)
        return self._kept

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    @contextmanager
    def fresh_database(self, *, empty: bool = False) -> Iterator[str]:
        """The URL of a database of its own: the template's copy, or `empty`. Dropped afterwards, whoever is still in it."""
        name = f"test_{next(_numbers)}"
        source = "template0" if empty else self._template()
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )
        try:
            yield at_database(self.url, name)
        finally:
            self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _template(self) -> str:
        if not self._has_template:
            self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(TEMPLATE)))
            self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(TEMPLATE)))
            make_template(at_database(self.url, TEMPLATE))
            self._has_template = True
        return TEMPLATE


@contextmanager
def running_postgres(home: Path) -> Iterator[PostgresServer]:
    """An embedded Postgres without fsync, version 18 or what HEADRACE_TEST_PG says; nothing is left behind."""
    embedded = EmbeddedPostgres(home, version=int(os.environ.get("HEADRACE_TEST_PG", "18")), fast=True)
    server = PostgresServer(embedded)
    try:
        embedded.start()
        yield server
    finally:
        server.close()
        embedded.delete()
