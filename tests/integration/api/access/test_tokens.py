"""Tokens through the API: made, shown, told of; and never more than whoever makes them has."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from servers.installation.application import Application
from servers.rows.customers import Customers, make_token

from scheduler.access.principal import Scope

pytestmark = pytest.mark.integration


def test_a_token_is_shown_once_and_only_its_digest_is_kept(customers: Customers, admin: Application) -> None:
    shown = make_token(admin, name="reports", owner="ann", scopes=["read", "sync"])
    assert shown["token"].startswith("hr_live_")
    assert (shown["name"], shown["owner"], shown["state"]) == ("reports", "ann", "valid")
    again = admin.read(f"/v1/tokens/{shown['id']}")
    assert "token" not in again
    assert again["ends_in"] == shown["token"][-4:]
    for row in customers.database.all("SELECT row_to_json(t)::text AS text FROM tokens t"):
        assert shown["token"] not in row["text"]
    for row in customers.database.all("SELECT row_to_json(a)::text AS text FROM audit a"):
        assert shown["token"] not in row["text"]
    assert admin.shown(shown["token"]).get("/v1/tokens/self").json()["id"] == shown["id"]


def test_a_token_without_admin_makes_none_and_sees_only_itself(
    customers: Customers, admin: Application
) -> None:
    for scope in ("read", "sync", "write"):
        api = customers.api(scopes=(Scope(scope),))
        assert api.post("/v1/tokens", {"name": "t", "scopes": ["read"]}).status_code == 403
        assert api.get("/v1/tokens").status_code == 403
        assert api.get("/v1/audit").status_code == 403
        assert api.get("/v1/tokens/self").status_code == 200


LATER_AT = datetime.now(UTC) + timedelta(days=30)
LATER = LATER_AT.isoformat()

EXCESSES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "of all customers": ({"tenants": ["acme"]}, {"tenants": None}, "tenants"),
    "of another customer": ({"tenants": ["acme"]}, {"tenants": ["acme", "brick"]}, "tenants"),
    "of all connections": ({"connections": ["acme"]}, {"connections": None}, "connections"),
    "from anywhere": ({"networks": ["127.0.0.0/8"]}, {"networks": None}, "networks"),
    "from a wider network": ({"networks": ["127.0.0.0/8"]}, {"networks": ["0.0.0.0/0"]}, "networks"),
    "from a network of the other family": ({"networks": ["127.0.0.0/8"]}, {"networks": ["::/0"]}, "networks"),
    "with any secret": ({"secret_prefixes": ["env://A_"]}, {"secret_prefixes": None}, "secret_prefixes"),
    "with another secret": (
        {"secret_prefixes": ["env://A_"]}, {"secret_prefixes": ["env://"]}, "secret_prefixes"
    ),
    "with a secret though it has none": (
        {"tenants": ["acme"]}, {"secret_prefixes": ["env://A_"]}, "secret_prefixes"
    ),
    "for ever": ({"expires_at": LATER_AT}, {"expires_at": None}, "expires_at"),
    "for longer": (
        {"expires_at": LATER_AT},
        {"expires_at": (datetime.now(UTC) + timedelta(days=31)).isoformat()},
        "expires_at",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXCESSES)
def test_nobody_makes_a_token_that_may_more(customers: Customers, admin: Application, name: str) -> None:
    own, wanted, field = EXCESSES[name]
    maker = customers.api(**own)
    answer = maker.post("/v1/tokens", {"name": "t", "scopes": ["admin"]} | wanted)
    assert (answer.status_code, answer.json()["code"]) == (403, "exceeds_your_token"), answer.text
    assert answer.json()["place"] == f"body.{field}"


@pytest.mark.parametrize(
    "name", [name for name, (own, wanted, _) in EXCESSES.items() if own.keys() == wanted.keys()]
)
def test_what_is_left_out_is_as_the_makers(customers: Customers, admin: Application, name: str) -> None:
    """A token that is made by one with a limit has it, whether or not anybody thought of it."""
    own, _, field = EXCESSES[name]
    maker = customers.api(**own)
    shown, mine = make_token(maker, scopes=["admin"]), maker.read("/v1/tokens/self")
    assert shown[field] == mine[field] is not None


def test_a_connection_that_the_maker_does_not_see_cannot_be_named(
    customers: Customers, admin: Application
) -> None:
    maker = customers.api(tenants=["acme"])
    body = {"name": "t", "scopes": ["read"], "connections": ["brick"]}
    answer = maker.post("/v1/tokens", body)
    unknown = maker.post("/v1/tokens", body | {"connections": ["nobodys"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_connection")
    assert answer.json()["detail"].replace("brick", "nobodys") == unknown.json()["detail"]


def test_a_token_names_no_connection_that_went_to_another_customer(
    customers: Customers, admin: Application
) -> None:
    shown = make_token(admin, name="left", scopes=["read"], tenants=["acme"], connections=["acme", "brick"])
    assert shown["connections"] == ["acme", "brick"]
    acme = customers.api(tenants=["acme"])
    assert acme.read(f"/v1/tokens/{shown['id']}")["connections"] == ["acme"]
    assert acme.post(f"/v1/tokens/{shown['id']}/rotate", {}).json()["connections"] == ["acme"]


def test_a_test_token_makes_test_tokens(customers: Customers, admin: Application) -> None:
    shown = make_token(customers.api("test"))
    assert shown["environment"] == "test"
    assert shown["token"].startswith("hr_test_")


def test_tokens_that_may_more_are_neither_shown_nor_replaced_nor_ended(
    customers: Customers, admin: Application
) -> None:
    """Whoever could replace a greater token would have it."""
    greater = make_token(admin, scopes=["admin"])
    others = make_token(admin, scopes=["read"], tenants=["brick"])
    small = customers.api(tenants=["acme"])
    mine = make_token(small)
    listed = {token["id"] for token in small.read("/v1/tokens")["tokens"]}
    assert mine["id"] in listed
    assert not {greater["id"], others["id"]} & listed
    for token in (greater, others):
        for method, path in (("GET", ""), ("POST", "/rotate"), ("POST", "/revoke")):
            answer = small.ask(method, f"/v1/tokens/{token['id']}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_token"), path
    assert small.post(f"/v1/tokens/{mine['id']}/rotate", {}).status_code == 201


def test_tokens_of_the_other_environment_are_not_there(customers: Customers, admin: Application) -> None:
    shown = make_token(admin)
    assert customers.api("test").get(f"/v1/tokens/{shown['id']}").status_code == 404


def test_every_use_of_a_power_over_tokens_is_in_the_audit_log(
    customers: Customers, admin: Application
) -> None:
    old = make_token(admin, owner="ann", tenants=["acme"])
    admin.post(f"/v1/tokens/{old['id']}/rotate", {})
    admin.post(f"/v1/tokens/{old['id']}/revoke", {})
    acts = admin.read("/v1/audit", action="token.")["acts"][:3]
    assert [act["action"] for act in acts] == ["token.revoke", "token.rotate", "token.create"]
    assert all(old["id"] in act["target"] or act["action"] == "token.create" for act in acts)
    own = admin.read("/v1/tokens/self")
    assert {act["token_id"] for act in acts} == {own["id"]}
    assert acts[2]["detail"]["tenants"] == ["acme"]
    assert all(act["request_id"] for act in acts)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": ""}, "body.name"),
        ({"name": "a\nb"}, "body.name"),
        ({"owner": "cli"}, "body.owner"),
        ({"scopes": []}, "body.scopes"),
        ({"scopes": ["root"]}, "body.scopes.0"),
        ({"tenants": []}, "body.tenants"),
        ({"tenants": ["\x00"]}, "body.tenants.0"),
        ({"networks": ["10.0.0.1/8"]}, "body.networks.0"),
        ({"networks": ["nowhere"]}, "body.networks.0"),
        ({"secret_prefixes": [""]}, "body.secret_prefixes.0"),
        ({"secret_prefixes": ["file:///a/../b"]}, "body.secret_prefixes.0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "body.expires_at"),
        ({"expires_at": 7}, "body.expires_at"),
        ({"tenant": "acme"}, "body.tenant"),
    ],
)
def test_a_wrong_wish_is_refused_with_its_place(admin: Application, body: dict[str, Any], place: str) -> None:
    answer = admin.post("/v1/tokens", {"name": "t", "scopes": ["read"]} | body)
    assert (answer.status_code, answer.json()["place"]) == (422, place), answer.text


def test_half_a_character_in_a_name_is_refused(admin: Application) -> None:
    answer = admin.ask(
        "POST",
        "/v1/tokens",
        content=b'{"name": "\\ud800", "scopes": ["read"]}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text


def test_a_token_that_ends_soon_says_so_in_every_answer(customers: Customers, admin: Application) -> None:
    shown = make_token(admin, expires_at=(datetime.now(UTC) + timedelta(days=40)).isoformat())
    api = admin.shown(shown["token"])
    assert "x-token-warning" not in api.get("/v1/tokens/self").headers
    customers.database.run(
        "UPDATE tokens SET created_at = now() - interval '91 days', expires_at = now() + interval '3 days 1 hour'"
        " WHERE id = %(id)s",
        shown,
    )
    answer = api.get("/v1/tokens/self")
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["expires_soon", "not_rotated"]
    assert "ends in 3 days" in answer.headers["x-token-warning"]
    assert "91 days" in answer.headers["x-token-warning"]
    assert "x-token-warning" in api.get("/v1/nothing").headers


def test_when_and_from_where_a_token_was_used_is_known(customers: Customers, admin: Application) -> None:
    shown = make_token(admin)
    assert shown["last_used_at"] is None
    admin.shown(shown["token"]).get("/v1/tokens/self")
    again = admin.read(f"/v1/tokens/{shown['id']}")
    assert again["last_used_at"] is not None
    assert again["last_used_from"] == "127.0.0.1"


def test_tokens_are_read_in_pages(customers: Customers, admin: Application) -> None:
    ids = [make_token(admin)["id"] for _ in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        page = admin.read("/v1/tokens", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [token["id"] for token in page["tokens"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found[:5] == ids[::-1]
    assert len(found) == len(set(found))
    assert UUID(found[0])
