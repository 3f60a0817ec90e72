"""What is sent in one trip is committed together, or not at all."""

import psycopg
import pytest

from worker.db.database import Database

pytestmark = pytest.mark.integration


@pytest.fixture
def table(database: Database) -> Database:
    database.run("CREATE TABLE kept (number int PRIMARY KEY)")
    return database


def test_all_of_it_is_committed_at_the_end(table: Database) -> None:
    with table.trip() as connection:
        first = connection.execute("INSERT INTO kept VALUES (1) RETURNING number")
        connection.execute("INSERT INTO kept VALUES (2)")
        assert first.fetchone() == {"number": 1}
    assert _kept(table) == [1, 2]


def test_nothing_of_it_is_where_a_statement_fails(table: Database) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        _put(table, 1, 1)
    assert _kept(table) == []


def test_nothing_of_it_is_where_one_can_not_be_sent(table: Database) -> None:
    with pytest.raises(psycopg.DataError):
        _put(table, 1, "\0")
    assert _kept(table) == [], "the first was carried out already"


def test_who_is_told_no_by_postgres_keeps_the_line(table: Database) -> None:
    (before,) = table.all("SELECT pg_backend_pid() AS line")
    with pytest.raises(psycopg.errors.UniqueViolation):
        _put(table, 1, 1)
    assert table.all("SELECT pg_backend_pid() AS line") == [before]


def _put(database: Database, *numbers: object) -> None:
    with database.trip() as connection:
        for number in numbers:
            connection.execute("INSERT INTO kept VALUES (%s) RETURNING number", (number,)).fetchone()


def _kept(database: Database) -> list[int]:
    return [row["number"] for row in database.all("SELECT number FROM kept ORDER BY number")]
