"""A copy whose transactions a test opens and ends as it likes. One database for a module, emptied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.postgres import PostgresServer
from servers.receiver import Receiver, receiving
from servers.rows.feed import Copy
from servers.rows.hooks import Hooks

from worker.db.database import Database
from worker.outbound.post import Courier


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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def courier() -> Iterator[Courier]:
    courier = Courier(loopback=True)
    yield courier
    courier.close()


@pytest.fixture
def hooks(copy: Copy, courier: Courier, receiver: Receiver, tmp_path: Path) -> Hooks:
    return Hooks(copy, courier, receiver, tmp_path)
