"""A copy whose transactions a test opens and ends as it likes. One database for a module, emptied for each test."""

from collections.abc import Iterator

import pytest
from servers.postgres import PostgresServer
from servers.rows.feed import Copy

from worker.db.database import Database


@pytest.fixture(scope="module")
def feed_url(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def feed_database(feed_url: str) -> Iterator[Database]:
    database = Database(feed_url, name="test", pool=4)
    yield database
    database.close()


@pytest.fixture
def database(feed_database: Database) -> Database:
    feed_database.run(
        "TRUNCATE connections, records, subscriptions, feed_consumers CASCADE;"
        " DELETE FROM feed_state; INSERT INTO feed_state DEFAULT VALUES"
    )
    return feed_database


@pytest.fixture
def copy(database: Database, feed_url: str) -> Iterator[Copy]:
    with Copy(database, feed_url) as made:
        yield made
