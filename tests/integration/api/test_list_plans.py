"""Lists of runs go by an index, whatever they are narrowed to: docs/api.md says how fast that is among ten million."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from psycopg.types.json import Jsonb
from servers.rows.customers import Customers

from scheduler.access.principal import EVERYTHING
from scheduler.runs.lists import FEW, list_runs
from worker.runs.states import State

LIVE = {**EVERYTHING, "environment": "live"}


@pytest.fixture
def statements(customers: Customers) -> Iterator[list[tuple[str, Any]]]:
    """What the lists ask, with its parameters."""
    asked: list[tuple[str, Any]] = []

    def hear(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    engine = customers.database.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", hear)
    yield asked
    sqlalchemy.event.remove(engine, "before_cursor_execute", hear)


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"before": UUID(int=2**127)}, {"state": State.FAILED}, {"state": State.SUCCEEDED}, {"connection_id": 1},
        {"stream_id": 1}, {"connection_id": 1, "state": State.FAILED}, {"view": {**LIVE, "tenants": ["acme"]}},
        {"view": {**LIVE, "labels": Jsonb({"region": "north"})}}, {"view": {**LIVE, "connections": []}},
    ],
    ids=str,
)  # fmt: skip
def test_no_list_of_runs_reads_a_whole_table(
    customers: Customers, statements: list[tuple[str, Any]], asked: Mapping[str, Any]
) -> None:
    list_runs(customers.database, **{"limit": 51, "view": LIVE, **asked})
    assert statements
    with customers.database.transaction() as tx:
        # There are few rows here, of which Postgres would read all; as if that were dear.
        tx.execute("SET LOCAL enable_seqscan = off")
        for statement, parameters in statements:
            plan = "\n".join(
                str(next(iter(row.values()))) for row in tx.execute(f"EXPLAIN {statement}", parameters)
            )
            assert "Seq Scan on run" not in plan, plan
            assert "Disabled: true" not in plan, plan


@pytest.mark.parametrize("view", [{**LIVE, "tenants": ["acme"]}, {**LIVE, "connections": None}, EVERYTHING])
def test_few_connections_and_many_are_listed_alike(
    customers: Customers, view: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = list_runs(customers.database, limit=3, view=view)
    assert FEW > 0
    monkeypatch.setattr("scheduler.runs.lists.FEW", 0)
    assert list_runs(customers.database, limit=3, view=view) == apart
    assert apart
