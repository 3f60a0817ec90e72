"""Every use of a power through the API is in the audit log: who, what, on what."""

from typing import Any

import pytest
from servers.rows.customers import Customers

from scheduler.api.app import create_app
from scheduler.api.scopes import doors_of

pytestmark = pytest.mark.integration

STREAM = "/v1/connections/acme/streams/orders"
POWERS: list[tuple[str, str, str, Any, str]] = [
    ("POST", "/v1/connections/{connection_id}/pause", "/v1/connections/acme/pause", None, "connection.pause"),
    ("POST", "/v1/connections/{connection_id}/history", "/v1/connections/acme/history", {"action": "pause"}, "history.pause"),
    ("POST", "/v1/connections/{connection_id}/streams/{stream}/deletes", f"{STREAM}/deletes", {"decision": "reject"}, "deletes.reject"),
    ("POST", "/v1/connections/{connection_id}/streams/{stream}/fields/accept", f"{STREAM}/fields/accept", None, "fields.accept"),
    ("POST", "/v1/connections/{connection_id}/streams/{stream}/quarantine", f"{STREAM}/quarantine", {"action": "discard"}, "quarantine.discard"),
    ("POST", "/v1/subscriptions", "/v1/subscriptions", {"name": "s", "url": "https://hooks.example.com/", "secret": "env://S", "connection": "acme"}, "subscription.create"),
    ("POST", "/v1/subscriptions/{name}/pause", "/v1/subscriptions/s/pause", None, "subscription.pause"),
    ("POST", "/v1/subscriptions/{name}/resume", "/v1/subscriptions/s/resume", None, "subscription.resume"),
    ("POST", "/v1/subscriptions/{name}/replay", "/v1/subscriptions/s/replay", {}, "subscription.replay"),
    ("DELETE", "/v1/subscriptions/{name}", "/v1/subscriptions/s", None, "subscription.delete"),
]  # fmt: skip
"""In this order: route, path, body, and what is noted."""

NOTED_ELSEWHERE = {
    "POST /v1/connections", "PATCH /v1/connections/{connection_id}", "DELETE /v1/connections/{connection_id}",
    "PATCH /v1/connections/{connection_id}/streams/{stream}", "POST /v1/connections/{connection_id}/resume",
    "POST /v1/connections/{connection_id}/upgrade",
    "POST /v1/connections/{connection_id}/streams/{stream}/erasures",
    "DELETE /v1/connections/{connection_id}/streams/{stream}/erasures",
    "POST /v1/connections/{connection_id}/streams/{stream}/syncs", "POST /v1/connections/{connection_id}/syncs",
    "POST /v1/connections/{connection_id}/verifications", "POST /v1/runs/{run_id}/cancel", "POST /v1/runs/{run_id}/retry",
    "POST /logout", "POST /v1/session", "DELETE /v1/session",
    "POST /v1/connect-links", "DELETE /v1/connect-links/{link_id}",
    "POST /v1/events/{event_id}/replay", "POST /v1/connections/{connection_id}/events/replay",
    "POST /v1/connections/pause", "POST /v1/connections/resume",
    "POST /v1/connections/{connection_id}/webhooks", "DELETE /v1/connections/{connection_id}/webhooks",
    "POST /v1/tokens", "POST /v1/tokens/{token_id}/revoke", "POST /v1/tokens/{token_id}/rotate",
}  # fmt: skip
"""Also noted; their own tests see to it, or they need a broker."""


@pytest.fixture(scope="module")
def admin(customers: Customers) -> Any:
    return customers.api()


def test_each_is_noted_with_who_and_in_which_request(customers: Customers, admin: Any) -> None:
    customers.database.run("UPDATE streams SET history_days = 30, history_done_at = NULL")
    own = admin.read("/v1/tokens/self")["id"]
    for method, _, path, body, action in POWERS:
        answer = admin.ask(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code < 300, (path, answer.text)
        [act] = admin.read("/v1/audit", limit=1)["acts"]
        assert (act["action"], act["token_id"], act["environment"]) == (action, own, "live")
        assert act["request_id"] == answer.headers["x-request-id"]


def test_a_tenants_admin_sees_what_was_done_on_theirs_and_nothing_else(
    customers: Customers, admin: Any
) -> None:
    for name in ("acme", "brick", "own"):
        admin.ask("POST", f"/v1/connections/{name}/pause")
    acme, brick = customers.api(tenants=["acme"]), customers.api(tenants=["brick"])
    assert {act["tenant"] for act in acme.read("/v1/audit")["acts"]} == {"acme"}
    assert {act["target"] for act in brick.read("/v1/audit")["acts"]} == {"brick"}
    assert acme.get("/v1/audit", connection="brick").status_code == 404
    assert {act["environment"] for act in customers.api("test").read("/v1/audit")["acts"]} == {"test"}
    by_connection = customers.api(connections=["brick"]).read("/v1/audit")["acts"]
    assert {act["connection_id"] for act in by_connection} == {customers.connections["brick"]}


def test_what_one_did_oneself_is_seen_also_where_it_is_about_no_connection(customers: Customers) -> None:
    small = customers.api(tenants=["acme"])
    small.post("/v1/tokens", {"name": "t", "scopes": ["read"]})
    assert [act["action"] for act in small.read("/v1/audit")["acts"]][:1] == ["token.create"]


@pytest.mark.parametrize(
    ("wanted", "actions"),
    [
        ({"action": "connection."}, {"connection.pause"}),
        ({"actor": "nobody"}, set()),
        ({"since": "2999-01-01T00:00:00Z"}, set()),
        ({"until": "2000-01-01T00:00:00Z"}, set()),
        ({"since": "1900-01-01T00:00:00Z", "action": "connection.pause"}, {"connection.pause"}),
    ],
)
def test_the_log_is_narrowed(customers: Customers, wanted: dict[str, str], actions: set[str]) -> None:
    admin = customers.api()
    for name in ("own", "acme"):
        admin.ask("POST", f"/v1/connections/{name}/pause")
    assert {act["action"] for act in admin.read("/v1/audit", **wanted)["acts"]} == actions


def test_the_log_is_read_in_pages(admin: Any) -> None:
    whole = [act["id"] for act in admin.read("/v1/audit", limit=500)["acts"]]
    found: list[str] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = admin.read("/v1/audit", limit=3, **({"cursor": cursor} if cursor else {}))
        found += [act["id"] for act in page["acts"]]
        cursor = page["next"]
    assert found == whole


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/1"])
def test_no_route_changes_the_log(admin: Any, method: str, path: str) -> None:
    assert admin.ask(method, path).status_code in {404, 405}


READING = {
    "PUT /v1/consumers/{name}",
    "DELETE /v1/consumers/{name}",
    "POST /v1/subscriptions/{name}/test",
    "POST /v1/connections/{connection_id}/test",
    "POST /flower/tasks/datatable",
}
"""How far a reader is, a message that says that it is a test, and looks at what a system answers and at tasks."""


def test_no_route_with_a_power_is_forgotten(customers: Customers) -> None:
    """A new one is either tried here, or named with those that are tried elsewhere."""
    tried = {f"{method} {route}" for method, route, *_ in POWERS}
    there = {
        f"{method} {door.path}"
        for door in doors_of(create_app(customers.database))
        if not door.is_open  # where no token is asked for, nobody has a power
        for method in door.methods - {"GET", "HEAD", "OPTIONS"}
    }
    assert there - tried - NOTED_ELSEWHERE - READING == set()
