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


@pytest.mark.parametrize(("path", "field"), [("/v1/quarantine", "quarantine"), ("/v1/drift", "fields")])
def test_what_is_wrong_is_listed_as_far_as_the_token_sees(
    customers: Customers, view: tuple[dict[str, Any], set[str]], path: str, field: str
) -> None:
    limits, seen = view
    listed = customers.api(**limits).read(path)[field]
    assert sorted(row["connection"] for row in listed) == sorted(seen)


@pytest.mark.parametrize(
    "path",
    ["verifications", "history", "streams/orders/deletes", "streams/orders/fields", "streams/orders/quarantine",
     "streams/orders/records/WO-1/explain"],
)  # fmt: skip
def test_what_is_of_a_connection_is_there_for_whoever_sees_it(
    customers: Customers, view: tuple[dict[str, Any], set[str]], path: str
) -> None:
    limits, seen = view
    api = customers.api(**limits)
    for name, number in customers.connections.items():
        for said in (name, str(number)):
            answer = api.get(f"/v1/connections/{said}/{path}")
            assert answer.status_code == (200 if name in seen else 404), (said, answer.text)


def test_a_connection_that_is_not_seen_is_answered_like_one_that_is_not_there(customers: Customers) -> None:
    api = customers.api(tenants=["acme"])

    def told(name: str) -> dict[str, Any]:
        answer = api.get(f"/v1/connections/{name}/verifications")
        said: dict[str, Any] = answer.json()
        del said["request_id"]
        return {"status": answer.status_code, **said, "detail": said["detail"].replace(name, "NAME")}

    assert told("brick") == told("break") == told(str(customers.connections["brick"])) == told("99999")
    assert "brick" not in str(told("bric"))


@pytest.mark.parametrize(
    ("filters", "seen"),
    [
        ({"tenant": "acme"}, {"acme"}),
        ({"tenant": "nobody"}, set()),
        ({"label": "region:north"}, {"acme"}),
        ({"label": ["region:north", "size:small"]}, set()),
        ({"label": "region:south", "tenant": "acme"}, set()),
        ({"environment": "live"}, {"acme", "brick", "own"}),
        ({"environment": "test"}, set()),
    ],
)
@pytest.mark.parametrize(
    ("path", "field"), [("/v1/quarantine", "quarantine"), ("/v1/drift", "fields"), ("/v1/runs", "runs")]
)
def test_lists_are_narrowed_by_tenant_label_and_environment(
    customers: Customers, path: str, field: str, filters: dict[str, Any], seen: set[str]
) -> None:
    assert {row["connection"] for row in customers.api().read(path, **filters)[field]} == seen


def test_a_filter_shows_nothing_that_the_token_does_not_see(customers: Customers) -> None:
    api = customers.api(tenants=["acme"])
    for filters in ({"tenant": "brick"}, {"environment": "test"}, {"label": "region:south"}):
        assert api.read("/v1/runs", **filters)["runs"] == []


@pytest.mark.parametrize(
    "query", ["label=north", "label=:x", "tenant=", "tenant=%00", "label=a:%00", "environment=prod"]
)
def test_a_filter_that_is_none_is_said_to_be_wrong(customers: Customers, query: str) -> None:
    assert customers.api().get(f"/v1/runs?{query}").status_code == 422
