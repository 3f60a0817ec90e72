"""How well webhooks tell is shown to whoever may see the connection, and their registration is wanted by whoever may."""

import json
from typing import Any

import pytest
from servers.rows.customers import Customers

from scheduler.access.principal import Scope

pytestmark = pytest.mark.integration
PUBLIC = "https://headrace.example.com"


@pytest.fixture(autouse=True)
def _nothing_counted(customers: Customers, monkeypatch: pytest.MonkeyPatch) -> None:
    customers.database.run("TRUNCATE webhook_counts, webhook_registrations, events")
    customers.database.run("""UPDATE connections SET secrets = '{"webhook_secret": "env://HOOK"}'""")
    monkeypatch.setenv("HEADRACE_PUBLIC_URL", PUBLIC)


def count(
    customers: Customers, name: str, *, days_ago: int = 0, of_stream: bool = True, **numbers: int
) -> None:
    columns = {
        "connection_id": customers.connections[name],
        "stream_id": customers.streams[name] if of_stream else 0,
        **numbers,
    }
    customers.database.run(
        f"INSERT INTO webhook_counts (day, {', '.join(columns)}) VALUES (current_date - %(days)s,"
        f" {', '.join(f'%({column})s' for column in columns)})",
        columns | {"days": days_ago},
    )


def names(found: dict[str, Any]) -> list[str]:
    return [each["connection"] for each in found["webhooks"]]


def test_numbers_are_added_up_over_streams_and_days(customers: Customers) -> None:
    count(customers, "acme", received=10, repeated=2, told=6, missed=2)
    count(customers, "acme", of_stream=False, refused=3)
    count(customers, "acme", days_ago=2, received=5, told=2)
    (found,) = customers.whole.read("/v1/webhooks")["webhooks"]
    shown = {
        "received": 15,
        "repeated": 2,
        "refused": 3,
        "told": 8,
        "missed": 2,
        "miss_ratio": 0.2,
        "pending": 0,
    }
    assert {name: found[name] for name in shown} == shown
    assert (found["connection"], found["registration"], found["last_received_at"]) == ("acme", None, None)
    (today,) = customers.whole.read("/v1/webhooks", days=1)["webhooks"]
    assert (today["received"], today["miss_ratio"]) == (10, 0.25)


def test_one_connection_is_shown_with_its_streams_though_nothing_came(customers: Customers) -> None:
    count(customers, "acme", received=4, told=3, missed=1)
    found = customers.whole.read("/v1/connections/acme/webhooks")
    (stream,) = found["streams"]
    assert (stream["stream"], stream["received"], stream["miss_ratio"]) == ("orders", 4, 0.25)
    assert (stream["poll"], stream["stretch"]) == ("fixed", 1.0)
    silent = customers.whole.read("/v1/connections/own/webhooks")
    assert (silent["received"], silent["miss_ratio"]) == (0, None)
    assert customers.whole.get("/v1/connections/nobody/webhooks").status_code == 404


def test_the_list_is_paged_and_narrowed_to_what_a_token_sees(customers: Customers) -> None:
    for name in customers.connections:
        count(customers, name, received=1)
    count(customers, "own", days_ago=30, received=1)
    customers.database.run(
        "INSERT INTO webhook_counts (connection_id, refused) VALUES (0, 7)"
    )  # for a name that nobody has
    whole = customers.whole
    first = whole.read("/v1/webhooks", limit=2)
    rest = whole.read("/v1/webhooks", limit=2, cursor=first["next"])
    assert names(first) + names(rest) == ["acme", "brick", "own"]
    assert rest["next"] is None
    limited = customers.api(tenants=["acme"])
    assert names(limited.read("/v1/webhooks")) == ["acme"]
    assert names(customers.api("test").read("/v1/webhooks")) == ["trial"]
    assert names(whole.read("/v1/webhooks", label="region:south")) == ["brick"]
    assert limited.get("/v1/connections/brick/webhooks").status_code == 404


def test_registration_is_wanted_shown_and_no_longer_wanted(customers: Customers) -> None:
    answer = customers.whole.post("/v1/connections/acme/webhooks", None)
    assert answer.status_code == 202
    number = customers.connections["acme"]
    assert answer.json() == {"connection": "acme", "url": f"{PUBLIC}/webhooks/{number}"}
    (found,) = customers.whole.read("/v1/webhooks")["webhooks"]
    assert found["registration"] == {"state": "wanted", "error": None, "expires_at": None}
    gone = customers.whole.ask("DELETE", "/v1/connections/acme/webhooks")
    assert (gone.status_code, gone.json()) == (202, {"connection": "acme", "removing": 1})
    (found,) = customers.whole.read("/v1/webhooks")["webhooks"]
    assert found["registration"]["state"] == "removing"
    acts = customers.whole.read("/v1/audit", limit=2)["acts"]
    assert [(act["action"], act["target"]) for act in acts] == [
        ("webhooks.unregister", "acme"),
        ("webhooks.register", "acme"),
    ]


def test_who_may_not_or_can_not_is_told_so(customers: Customers, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/v1/connections/acme/webhooks"
    assert customers.api(scopes=[Scope.SYNC]).post(path, None).status_code == 403
    assert customers.api(tenants=["brick"]).post(path, None).status_code == 404
    assert customers.api("test").ask("DELETE", path).status_code == 404
    customers.database.run("UPDATE connections SET secrets = '{}'")
    missing = customers.whole.post(path, None)
    assert (missing.status_code, missing.json()["code"]) == (422, "secret_missing")
    assert missing.json()["place"] == "secrets.webhook_secret"
    customers.database.run(
        "UPDATE connections SET system = 'tryton',"
        """ settings = '{"base_url": "http://127.0.0.1:9", "database": "d", "username": "u"}' WHERE name = 'brick'"""
    )
    by_hand = customers.whole.post("/v1/connections/brick/webhooks", None)
    assert (by_hand.status_code, by_hand.json()["code"]) == (422, "webhooks_not_registrable")
    assert "by hand" in by_hand.json()["hint"]
    customers.database.run("""UPDATE connections SET secrets = '{"webhook_secret": "env://HOOK"}'""")
    monkeypatch.delenv("HEADRACE_PUBLIC_URL")
    nowhere = customers.whole.post(path, None)
    assert nowhere.json()["code"] == "public_url_missing"
    assert "HEADRACE_PUBLIC_URL" in json.dumps(nowhere.json())
    assert customers.database.all("SELECT FROM webhook_registrations") == []
