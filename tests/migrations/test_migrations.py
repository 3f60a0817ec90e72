"""The schema comes to be by migrations, and is exactly what the code takes it to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from servers.postgres import at_database

from scheduler.embedded.postgres.server import EmbeddedPostgres
from worker.db.database import Database
from worker.db.migrate import alembic_config, migrate
from worker.db.schema_version import VERSION_TABLE, check_schema, head, known_versions
from worker.db.tables import metadata
from worker.errors import NeedsOperator, Transient

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url, name="test", pool=2)
    yield database
    database.close()


def test_an_empty_database_becomes_ours_and_a_second_time_changes_nothing(empty: Database) -> None:
    assert migrate(empty) == (None, head())
    assert migrate(empty) == (head(), head())
    check_schema(empty)


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")  # a CHECK that is NOT VALID
def test_the_migrations_build_exactly_the_tables_of_the_code(empty: Database) -> None:
    migrate(empty)

    def whole_tables(_: Any, name: str | None, kind: str, *rest: Any) -> bool:
        return kind != "table" or not (name or "").startswith(
            ("records_", "run_history_", "record_versions_", "audit_", "events_")
        )

    with empty.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "include_object": whole_tables}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        for table in metadata.sorted_tables:
            found = {column["name"]: column["nullable"] for column in _columns(connection, table.name)}
            assert found == {column.name: column.nullable for column in table.columns}


def _columns(connection: sqlalchemy.Connection, table: str) -> list[Any]:
    return list(sqlalchemy.inspect(connection).get_columns(table))


def test_a_database_that_holds_something_else_is_left_alone(empty: Database) -> None:
    empty.run("CREATE TABLE orders (id int)")
    with pytest.raises(NeedsOperator, match="orders") as refusal:
        migrate(empty)
    assert refusal.value.code == "foreign_database"
    assert empty.one("SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'public'") == {"n": 1}


def test_the_versions_are_those_that_alembic_finds() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert known_versions() == {script.revision for script in scripts.walk_revisions()}
    assert head() == scripts.get_current_head()


def test_a_schema_that_is_behind_is_named_and_not_worked_on(empty: Database) -> None:
    with pytest.raises(NeedsOperator, match="headrace migrate") as refusal:
        check_schema(empty)
    assert refusal.value.code == "schema_behind"


def test_the_schema_of_a_newer_version_is_refused(empty: Database) -> None:
    migrate(empty)
    empty.run(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for step in (migrate, check_schema):
        with pytest.raises(NeedsOperator) as refusal:
            step(empty)
        assert refusal.value.code == "schema_newer"


def test_a_database_that_cannot_be_reached_is_said_without_its_password() -> None:
    database = Database("postgresql://app:planted-secret@127.0.0.1:1/none", name="test")
    with pytest.raises(Transient) as refusal:
        migrate(database)
    assert "planted-secret" not in str(refusal.value)
    assert "127.0.0.1" in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["mysql://a:planted@b/c", "nonsense planted", "postgresql://a:planted@b:port/c"]
)
def test_a_wrong_url_is_said_without_its_password(url: str) -> None:
    with pytest.raises(NeedsOperator) as refusal:
        Database(url, name="test")
    assert refusal.value.code == "bad_database_url"
    assert "planted" not in str(refusal.value)


def test_the_schema_works_on_the_oldest_supported_postgres(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "home", version=16, fast=True)
    server.start()
    try:
        database = Database(server.url, name="test", pool=1)
        migrate(database)
        row = database.one(
            "SELECT headrace_uuid7()::text AS id, current_setting('server_version_num')::int AS v"
        )
        database.close()
        assert row is not None
        assert row["v"] < 170000
        assert row["id"][14] == "7"
    finally:
        server.stop()


def test_a_connection_that_postgres_cut_is_replaced(database_url: str) -> None:
    database = Database(database_url, name="test", pool=2)
    assert database.one("SELECT 1 AS one") == {"one": 1}
    with psycopg.connect(at_database(database_url, "postgres"), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headrace test'"
        )
    with pytest.raises(Transient):
        database.one("SELECT 1 AS one")
    assert database.one("SELECT 1 AS one") == {"one": 1}
    database.close()
