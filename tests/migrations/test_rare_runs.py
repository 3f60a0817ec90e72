"""The index that is built over all that ever ran: nobody waits for it, and half of one is no obstacle."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from servers.waiting import wait_until

from worker.db.database import Database
from worker.db.migrate import alembic_config, migrate
from worker.db.schema_version import head
from worker.errors import Transient

pytestmark = pytest.mark.integration

BUILDING = "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
END_A_RUN = """
INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no, attempt,
                         request_id, created_at, pages, records_read, records_created, records_updated, records_deleted,
                         records_refused, records_rejected)
VALUES (headrace_uuid7(), false, 1, 1, 'q', 'live', '{}', 1, 'api', 'failed', 1, 0, 'r', now(), 0, 0, 0, 0, 0, 0, 0)
"""


@pytest.fixture
def behind(empty_database_url: str) -> Iterator[Database]:
    """A database of the version before, at work."""
    database = Database(empty_database_url, name="test", pool=4)
    engine = database.engine.execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
    yield database
    database.close()


def test_runs_end_while_the_index_of_all_that_ended_is_built(
    behind: Database, empty_database_url: str
) -> None:
    with ThreadPoolExecutor(1) as pool, psycopg.connect(empty_database_url) as backup:
        backup.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        backup.execute("SELECT 1")
        built = pool.submit(migrate, behind)
        wait_until(lambda: built.done() or behind.one(BUILDING) == {"n": 1}, what="the index to be begun")
        assert not built.done()
        assert behind.run(END_A_RUN) == 1
        backup.rollback()
        assert built.result(timeout=30) == ("0009", head())
    assert behind.all("SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid") == []


def test_whoever_finds_another_at_it_gives_up_soon_and_may_come_again(
    behind: Database, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7433110911)")
        with pytest.raises(Transient, match="Another process"):
            migrate(behind)
    assert migrate(behind) == ("0009", head())


def test_whoever_died_over_half_an_index_is_followed_by_one_that_builds_it(behind: Database) -> None:
    on = "(state, id DESC) WHERE state <> 'succeeded'"
    behind.run(f"CREATE INDEX run_history_wrong ON ONLY run_history_eventful {on}")
    behind.run(f"CREATE INDEX run_history_eventful_default_wrong ON run_history_eventful_default {on}")
    behind.run(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'run_history_eventful_default_wrong'::regclass"
    )
    migrate(behind)
    assert behind.all("SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid") == []
