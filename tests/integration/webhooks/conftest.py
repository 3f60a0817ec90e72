"""The door of webhooks, for all tests of a file: each makes connections of its own."""

from collections.abc import Iterator

import pytest
from servers.postgres import PostgresServer
from servers.systems.knocking import Door, knocking

from worker.db.database import Database


@pytest.fixture(scope="module")
def door(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        with knocking(database, tmp_path_factory.mktemp("systems")) as door:
            yield door
        database.close()
