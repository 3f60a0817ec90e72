"""No list reads much more than it shows, whatever it is narrowed to: docs/api.md says how fast that is among ten million."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy
from servers.installation.application import Application
from servers.postgres import PostgresServer
from servers.rows.customers import Customers
from servers.rows.lists import LIMITED, asked
from servers.rows.many import Much, fill

from scheduler.access.principal import EVERYTHING
from scheduler.connections.few import FEW
from scheduler.runs.lists import list_runs
from worker.db.database import Database

pytestmark = pytest.mark.integration

LIVE = {**EVERYTHING, "environment": "live"}
MUCH = Much(connections=2_000, runs=10_000, events=10_000, acts=10_000, refusals=8_000, records=10_000)
BIG = ("run_history", "events", "audit", "records_", "stream_fields", "webhook_refusals", "webhook_counts")
MOST_READ = 5_000
"""Rows of these that one list may look at; of each there are 8,000 and more."""
ELSEWHERE = ("/v1/changes", "/v1/consumers")
"""Go by the index of the feed where partitions are large; here they have a few hundred rows each."""

Asked = tuple[str, Any]


@pytest.fixture(scope="module")
def much(postgres_server: PostgresServer) -> Iterator[Customers]:
    """An installation with so much in every table that it shows what a list reads."""
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=2)
        for _ in fill(database, MUCH):
            pass
        yield Customers(database, Application(database))
        database.close()


@contextmanager
def heard(database: Database) -> Iterator[list[Asked]]:
    """What is asked of Postgres meanwhile, with its parameters."""
    statements: list[Asked] = []
    execute = psycopg.Connection.execute

    def hear(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    def spy(connection: Any, query: Any, params: Any = None, **more: Any) -> Any:
        statements.append((query, params))
        return execute(connection, query, params, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", spy)
        sqlalchemy.event.listen(database.engine, "before_cursor_execute", hear)
        yield statements
        sqlalchemy.event.remove(database.engine, "before_cursor_execute", hear)


def scans(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """What a plan reads: from which table, in which way, and how many rows."""
    if "Relation Name" in plan:
        rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield plan["Relation Name"], plan["Node Type"], rows * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


def read(database: Database, statements: list[Asked]) -> list[tuple[str, str, float]]:
    """The same of all statements that read."""
    found: list[tuple[str, str, float]] = []
    with database.connection() as tx:
        for statement, params in statements:
            if not isinstance(statement, str) or "SELECT" not in statement.upper():
                continue
            row = tx.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", params, prepare=False).fetchone()
            assert row is not None
            found += scans(row["QUERY PLAN"][0]["Plan"])
    return found


@pytest.mark.parametrize("who", ["all", "of one customer"])
def test_no_list_walks_through_a_table_nor_looks_at_much_more_than_it_shows(
    much: Customers, who: str
) -> None:
    limits: dict[str, Any] = {} if who == "all" else {"tenants": ["tenant-7"]}
    api, walked, dear = much.api(**limits), {}, {}
    for path in asked() if who == "all" else LIMITED:
        if path.startswith(ELSEWHERE):
            continue
        with heard(much.database) as statements:
            answer = api.get(path)
            assert answer.status_code == 200, (path, answer.text)
        found = [scan for scan in read(much.database, statements) if scan[0].startswith(BIG)]
        if whole := [table for table, how, rows in found if how == "Seq Scan" and rows > 0]:
            walked[path] = whole
        if (rows := sum(rows for *_, rows in found)) > MOST_READ:
            dear[path] = rows
    assert walked == {}
    assert dear == {}


@pytest.mark.parametrize("view", [{**LIVE, "tenants": ["acme"]}, {**LIVE, "connections": None}, EVERYTHING])
def test_few_connections_and_many_are_listed_alike(
    customers: Customers, view: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = list_runs(customers.database, limit=3, view=view)
    assert FEW > 0
    monkeypatch.setattr("scheduler.connections.few.FEW", 0)
    assert list_runs(customers.database, limit=3, view=view) == apart
    assert apart
