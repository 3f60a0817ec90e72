"""The fixtures that other tests stand on: real servers, and nothing of one test seen by the next."""

import psycopg
import pytest
import redis

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_a_database_of_its_own(database_url: str, turn: int) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE left_behind (turn integer)")
        connection.execute("INSERT INTO left_behind VALUES (%s)", (turn,))
        assert connection.execute("SELECT turn FROM left_behind").fetchall() == [(turn,)]


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_valkey_empty(broker_url: str, turn: int) -> None:
    with redis.Redis.from_url(broker_url) as client:
        # What stays says that this Valkey has forgotten nothing that anybody was granted.
        assert client.keys() == [b"headrace:budget:epoch"]
        client.set("left_behind", turn)


def test_an_empty_database_holds_no_table(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)


def test_databases_sort_by_code_point(empty_database_url: str) -> None:
    """The same order on every machine, and text of every script."""
    with psycopg.connect(empty_database_url) as connection:
        rows = connection.execute(
            "SELECT x FROM unnest(ARRAY['ä', 'b', 'Z', 'ß', '漢', 'a']) AS x ORDER BY x"
        ).fetchall()
        assert [row[0] for row in rows] == ["Z", "a", "b", "ß", "ä", "漢"]
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
