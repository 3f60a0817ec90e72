"""Tokens that are replaced and ended: by whoever may, with effect on the next request, and never into a longer life."""

from datetime import UTC, datetime, timedelta

import pytest
from servers.installation.application import Application
from servers.rows.customers import Customers, make_token

pytestmark = pytest.mark.integration

SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()
LATER = (datetime.now(UTC) + timedelta(days=30)).isoformat()


def test_a_token_with_wider_secrets_is_not_replaced_by_one_with_narrower(
    customers: Customers, admin: Application
) -> None:
    wider = make_token(admin, scopes=["admin"])
    narrow = customers.api(secret_prefixes=["env://A_"])
    answer = narrow.post(f"/v1/tokens/{wider['id']}/rotate", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "exceeds_your_token")


def test_the_old_token_is_good_for_the_overlap_and_no_longer(
    customers: Customers, admin: Application
) -> None:
    old = make_token(admin, tenants=["acme"])
    fresh = admin.post(f"/v1/tokens/{old['id']}/rotate", {"overlap": 3600}).json()
    assert fresh["tenants"] == ["acme"]
    for token in (old["token"], fresh["token"]):
        assert admin.shown(token).get("/v1/tokens/self").status_code == 200
    shown = admin.read(f"/v1/tokens/{old['id']}")
    assert (shown["state"], shown["replaced_by"]) == ("replaced", fresh["id"])
    customers.database.run("UPDATE tokens SET expires_at = now() WHERE id = %(id)s", {"id": old["id"]})
    assert admin.shown(old["token"]).get("/v1/tokens/self").status_code == 401
    assert admin.shown(fresh["token"]).get("/v1/tokens/self").status_code == 200


def test_without_overlap_the_old_one_ends_at_once(customers: Customers, admin: Application) -> None:
    old = make_token(admin)
    assert admin.post(f"/v1/tokens/{old['id']}/rotate", {"overlap": 0}).status_code == 201
    assert admin.shown(old["token"]).get("/v1/tokens/self").status_code == 401


def test_an_overlap_never_lengthens_a_life(customers: Customers, admin: Application) -> None:
    old = make_token(admin, expires_at=SOON)
    fresh = admin.post(f"/v1/tokens/{old['id']}/rotate", {"overlap": 30 * 86400}).json()
    assert admin.read(f"/v1/tokens/{old['id']}")["expires_at"] == old["expires_at"] == fresh["expires_at"]
    longer = admin.post(f"/v1/tokens/{fresh['id']}/rotate", {"expires_at": LATER}).json()
    assert longer["expires_at"] > fresh["expires_at"]


def test_a_token_that_ends_does_not_rotate_itself_into_a_longer_life(
    customers: Customers, admin: Application
) -> None:
    stolen = make_token(admin, scopes=["admin"], expires_at=SOON)
    thief = admin.shown(stolen["token"])
    answer = thief.post(f"/v1/tokens/{stolen['id']}/rotate", {"expires_at": LATER})
    assert answer.json()["code"] == "exceeds_your_token"
    assert thief.post(f"/v1/tokens/{stolen['id']}/rotate", {}).json()["expires_at"] == stolen["expires_at"]


@pytest.mark.parametrize(
    ("end", "code"), [("rotate", "token_replaced"), ("revoke", "token_revoked"), (None, "token_expired")]
)
def test_what_has_ended_is_not_replaced(
    customers: Customers, admin: Application, end: str | None, code: str
) -> None:
    old = make_token(admin)
    if end:
        admin.post(f"/v1/tokens/{old['id']}/{end}", {})
    else:
        customers.database.run("UPDATE tokens SET expires_at = now() WHERE id = %(id)s", {"id": old["id"]})
    answer = admin.post(f"/v1/tokens/{old['id']}/rotate", {})
    assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_what_is_revoked_is_gone_with_the_next_request_and_harmless_twice(
    customers: Customers, admin: Application
) -> None:
    old = make_token(admin)
    assert admin.shown(old["token"]).get("/v1/tokens/self").status_code == 200
    first, second = (admin.post(f"/v1/tokens/{old['id']}/revoke", {}).json() for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["state"] == "revoked"
    refused = admin.shown(old["token"]).get("/v1/tokens/self")
    unknown = admin.shown("hr_live_" + "0" * 28).get("/v1/tokens/self")
    assert refused.status_code == 401
    assert refused.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    ended = {token["id"] for token in admin.read("/v1/tokens", ended=True)["tokens"]}
    assert old["id"] in ended
    assert old["id"] not in {token["id"] for token in admin.read("/v1/tokens")["tokens"]}


def test_all_that_a_stolen_token_made_ends_with_it_if_asked_so(
    customers: Customers, admin: Application
) -> None:
    stolen = make_token(admin, scopes=["admin"])
    child = make_token(admin.shown(stolen["token"]), scopes=["admin"])
    grandchild = make_token(admin.shown(child["token"]), scopes=["admin"])
    fresh = admin.shown(grandchild["token"]).post(f"/v1/tokens/{grandchild['id']}/rotate", {}).json()
    apart = make_token(admin)
    done = admin.post(f"/v1/tokens/{stolen['id']}/revoke", {"with_made": True}).json()
    assert set(done["made"]) == {child["id"], grandchild["id"], fresh["id"]}
    for token in (stolen, child, grandchild, fresh):
        assert admin.shown(token["token"]).get("/v1/tokens/self").status_code == 401
    assert admin.shown(apart["token"]).get("/v1/tokens/self").status_code == 200


def test_whoever_revokes_a_replaced_token_is_told_that_the_fresh_one_lives(
    customers: Customers, admin: Application
) -> None:
    old = make_token(admin)
    fresh = admin.post(f"/v1/tokens/{old['id']}/rotate", {}).json()
    assert fresh["id"] in " ".join(admin.post(f"/v1/tokens/{old['id']}/revoke", {}).json()["notes"])


def test_the_last_admin_who_ends_their_own_token_is_told_how_to_come_back(
    customers: Customers, admin: Application
) -> None:
    api = customers.api("test")
    own = api.read("/v1/tokens/self")
    customers.database.run(
        "UPDATE tokens SET revoked_at = now() WHERE environment = 'test' AND id <> %(id)s", own
    )
    done = api.post(f"/v1/tokens/{own['id']}/revoke", {})
    assert done.status_code == 200
    [note] = done.json()["notes"]
    assert "headrace token create NAME --scope admin --environment test" in note
    assert api.get("/v1/tokens/self").status_code == 401
