"""Many connections are paused and resumed at once: those of a tenant, or with labels, and never one that isn't seen."""

from typing import Any

import pytest
from servers.installation.api import TOKEN
from servers.rows.customers import Customers, add_connection

from scheduler.access.principal import Scope
from scheduler.client import Client
from scheduler.connections import pause

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def north(customers: Customers) -> Customers:
    """Acme has three more, two in the north, one of them disconnected; brick has one in the north, too."""
    for name, tenant, region in [("acme-2", "acme", "north"), ("acme-3", "acme", "north"), ("acme-4", "acme", "south"),
                                 ("brick-2", "brick", "north")]:  # fmt: skip
        add_connection(customers, name, "live", tenant, {"region": region})
    customers.database.run("UPDATE connections SET disconnected_at = now() WHERE name = 'acme-3'")
    return customers


@pytest.fixture(autouse=True)
def going(north: Customers) -> None:
    north.database.run("UPDATE connections SET paused_at = NULL")
    north.database.run("UPDATE streams SET next_run_at = now()")


def paused(customers: Customers) -> set[str]:
    rows = customers.database.all(
        "SELECT c.name FROM connections c JOIN streams s ON s.connection_id = c.id"
        " WHERE paused_at IS NOT NULL AND s.next_run_at IS NULL"
    )
    return {row["name"] for row in rows}


def ask(customers: Customers, act: str, body: dict[str, Any], **limits: Any) -> dict[str, Any]:
    answer = customers.api(**limits).ask("POST", f"/v1/connections/{act}", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize(
    ("limits", "body", "meant"),
    [
        ({}, {"tenant": "acme"}, {"acme", "acme-2", "acme-3", "acme-4"}),
        ({}, {"labels": {"region": "north"}}, {"acme", "acme-2", "acme-3", "brick-2"}),
        ({}, {"tenant": "acme", "labels": {"region": "south"}}, {"acme-4"}),
        ({}, {"tenant": "nobody"}, set()),
        ({}, {"tenant": "acme", "environment": "test"}, set()),
        ({"environment": "test"}, {"tenant": "acme"}, {"trial"}),
        ({"tenants": ["brick"]}, {"tenant": "acme"}, set()),
        ({"tenants": ["brick"]}, {"labels": {"region": "north"}}, {"brick-2"}),
        ({"connections": ["acme"]}, {"tenant": "acme"}, {"acme"}),
    ],
)
def test_what_is_meant_is_paused_and_nothing_that_the_token_does_not_see(
    north: Customers, limits: dict[str, Any], body: dict[str, Any], meant: set[str]
) -> None:
    told = ask(north, "pause", body, **limits)
    assert paused(north) == meant == {each["connection"] for each in told["connections"]}
    assert (told["paused"], told["matched"], told["changed"]) == (True, len(meant), len(meant))


def test_twice_is_harmless_and_each_is_audited_once(north: Customers) -> None:
    since = north.database.one("SELECT now() AS now")
    ask(north, "pause", {"tenant": "brick"})
    again = ask(north, "pause", {"tenant": "brick"})
    assert (again["matched"], again["changed"]) == (2, 0)
    assert ask(north, "resume", {"tenant": "brick"})["changed"] == 2
    assert ask(north, "resume", {"tenant": "brick"})["changed"] == 0
    assert paused(north) == set()
    acts = north.database.all(
        "SELECT action, target, tenant FROM audit WHERE at >= %(now)s AND action LIKE 'connection.%%'"
        " ORDER BY action, target",
        since,
    )
    assert [tuple(act.values()) for act in acts] == [
        ("connection.pause", "brick", "brick"), ("connection.pause", "brick-2", "brick"),
        ("connection.resume", "brick", "brick"), ("connection.resume", "brick-2", "brick"),
    ]  # fmt: skip


def test_each_stream_that_is_resumed_owes_a_run_and_what_is_disconnected_stays(north: Customers) -> None:
    ask(north, "pause", {"tenant": "acme"})
    told = ask(north, "resume", {"tenant": "acme"})
    assert (told["matched"], told["changed"]) == (4, 3)
    assert [each["connection"] for each in told["connections"] if each["disconnected"]] == ["acme-3"]
    assert paused(north) == {"acme-3"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "no_filter"),
        ({"labels": {}}, "no_filter"),
        ({"environment": "live"}, "no_filter"),
        ({"tenant": "a\0"}, "bad_value"),
        ({"labels": {"region": "\0"}}, "bad_value"),
        ({"tennant": "acme"}, "bad_value"),
    ],
)
def test_nobody_means_all_that_there_is(north: Customers, body: dict[str, Any], code: str) -> None:
    answer = north.api().ask("POST", "/v1/connections/pause", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert paused(north) == set()


def test_whoever_may_not_change_connections_pauses_none(north: Customers) -> None:
    api = north.api(scopes=[Scope.SYNC, Scope.WRITE])
    assert api.ask("POST", "/v1/connections/pause", json={"tenant": "acme"}).status_code == 403
    assert paused(north) == set()


def test_more_than_go_in_one_transaction_are_all_paused(
    north: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pause, "TOGETHER", 2)
    with Client("http://api", TOKEN, transport=north.whole.transport) as client:
        done = client.pause_all(labels={"region": "north"})
        assert (done.matched, done.changed) == (4, 4)
        assert client.resume_all(labels={"region": "north"}).changed == 3
        assert client.resume_all(tenant="acme", environment="test").matched == 0
        assert {run.connection for run in client.runs(tenant="acme", labels={"region": "south"})} == {
            "acme-4"
        }
        told = client.changes(
            "beginning", tenant="acme", labels={"region": "south"}, environment="live"
        ).changes
        assert {change["connection"] for change in told} == {"acme-4"}
