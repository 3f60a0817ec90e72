"""An installation with two customers, and the API on it in this process. One database for a module."""

from collections.abc import Iterator

import pytest
from servers.postgres import PostgresServer
from servers.rows.customers import Customers, new_customers

from worker.db.database import Database


@pytest.fixture(scope="module")
def customers(postgres_server: PostgresServer) -> Iterator[Customers]:
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        yield new_customers(database)
        database.close()
