"""Does `sql` keep its promises to a server, too? A Postgres that is full, slow, shut or takes rights away, and its own types.

The report in the README is of SQLite. Here are the streams whose columns Postgres has other types for: times that know
their zone, and such that don't.
"""

from collections.abc import Iterator

import pytest
from connectors.doubles.found import CATALOG
from connectors.doubles.sql_postgres import SqlOnPostgres
from servers.postgres import PostgresServer

from scheduler.connectors.check.bench import Subject
from scheduler.connectors.check.checking import manifest_of
from scheduler.connectors.check.suite import Choice, run

pytestmark = pytest.mark.integration

STREAMS = ("orders", "bins")


@pytest.fixture(scope="module")
def subject(postgres_server: PostgresServer) -> Iterator[Subject]:
    with postgres_server.fresh_database(empty=True) as url:
        yield Subject(manifest_of(CATALOG / "sql"), type("Plant", (SqlOnPostgres,), {"server": url}))


def test_every_promise_is_kept_by_a_server(subject: Subject) -> None:
    found = run(subject, Choice(streams=STREAMS))
    assert not [str(each) for each in found if each.mark not in {"passed", "not applicable"}]
    for check in ("waits", "errors", "login", "zones"):
        assert "passed" in {outcome.mark for outcome in found if outcome.check == check}
