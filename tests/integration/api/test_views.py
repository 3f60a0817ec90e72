"""Each token sees its environment, its tenants and its connections, and nothing tells it of others."""

from typing import Any

import pytest
from servers.rows.customers import Customers

pytestmark = pytest.mark.integration

VIEWS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "live": ({}, {"acme", "brick", "own"}),
    "test": ({"environment": "test"}, {"trial"}),
    "a tenant": ({"tenants": ["acme"]}, {"acme"}),
    "a tenant in test": ({"environment": "test", "tenants": ["acme"]}, {"trial"}),
    "two tenants": ({"tenants": ["acme", "brick"]}, {"acme", "brick"}),
    "a connection": ({"connections": ["own"]}, {"own"}),
    "a connection of another tenant": ({"tenants": ["acme"], "connections": ["brick"]}, set()),
    "a connection of the other environment": ({"connections": ["trial"]}, set()),
}


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest) -> tuple[dict[str, Any], set[str]]:
    return VIEWS[request.param]


def test_runs_are_listed_as_far_as_the_token_sees(
    customers: Customers, view: tuple[dict[str, Any], set[str]]
) -> None:
    limits, seen = view
    api = customers.api(**limits)
    listed = api.read("/v1/runs")["runs"]
    assert sorted(run["connection"] for run in listed) == sorted([*seen, *seen])
    every = customers.database.all(
        "SELECT id, connection_id FROM runs UNION ALL SELECT id, connection_id FROM run_history"
    )
    for run in every:
        name = next(name for name, number in customers.connections.items() if number == run["connection_id"])
        answer = api.get(f"/v1/runs/{run['id']}")
        assert answer.status_code == (200 if name in seen else 404), name
