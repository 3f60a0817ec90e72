"""A prepared transaction is open for as long as nobody ends it, whoever has left: the feed waits for it, and says so."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from servers.postgres import PostgresServer
from servers.rows.feed import Copy, keys

from scheduler.embedded.postgres.server import EmbeddedPostgres
from worker.db.database import Database
from worker.feed.horizon import status

pytestmark = pytest.mark.integration


@pytest.fixture
def preparing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A cluster that allows them; the default is none."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("preparing"), fast=True)
    server = PostgresServer(embedded)
    try:
        embedded.start()
        server.execute(sql.SQL("ALTER SYSTEM SET max_prepared_transactions = 2"))
        server.close()
        embedded.stop()
        embedded.start()
        yield server
    finally:
        server.close()
        embedded.delete()


def test_a_prepared_transaction_holds_the_feed_back_and_is_named(preparing: PostgresServer) -> None:
    with preparing.fresh_database() as url:
        database = Database(url, name="test", pool=2)
        try:
            with Copy(database, url) as copy:
                writer = copy.begin()
                copy.write("a", tx=writer)
                writer.execute("PREPARE TRANSACTION 'forgotten'")
                writer.close()
                copy.write("b")
                held = copy.read()
                assert keys(held) == []
                [holder] = status(database).holders
                assert (holder.pid, holder.prepared) == (None, "forgotten")
                assert "prepared transaction 'forgotten'" in str(holder)
                with psycopg.connect(url, autocommit=True) as other:
                    other.execute("COMMIT PREPARED 'forgotten'")
                assert keys(copy.read(held.next)) == ["a", "b"]
        finally:
            database.close()
