"""What a link is: made for what can work, opened in one browser, over in time, on a page that gives nothing away."""

import re
from datetime import datetime
from typing import Any

import httpx
import pytest
from servers.systems.visiting import House, opened, page_at


def test_a_link_opens_in_one_browser_and_makes_one_connection(house: House, browser: httpx.Client) -> None:
    url = house.link(system="demo", name="Plant")["url"]
    assert browser.get(url).status_code == browser.get(url).status_code == 200  # looking uses nothing up
    opened(browser, url)
    assert browser.get(url).status_code == 303
    with httpx.Client(trust_env=False) as other:
        assert other.get(url).status_code == 404
        assert (
            other.post(page_at(url, "/connect/start"), data={"link": url.rpartition("/")[2]}).status_code
            == 404
        )


@pytest.mark.parametrize(
    "changed",
    [{"settings": {"port": "9"}}, {"tenant": "brick"}, {"network": {"proxy": "http://127.0.0.1:9"}}],
)
def test_a_link_to_a_connection_ends_when_that_becomes_something_else(
    house: House, browser: httpx.Client, changed: dict[str, Any]
) -> None:
    made = house.server.ask(
        "POST", "/v1/connections",
        json={"name": "Acme", "system": "consenting", "tenant": "acme", "settings": {"port": house.system.port},
              "secrets": dict.fromkeys(("client_id", "client_secret", "refresh_token"), "env://NONE")},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    link = house.link(connection="Acme")
    opened(browser, link["url"])
    path = f"/v1/connections/{made.json()['id']}"
    assert house.server.ask("PATCH", path, json={"labels": {"a": "b"}}).status_code == 200
    assert browser.get(page_at(link["url"], "/connect/form")).status_code == 200
    assert house.server.ask("PATCH", path, json=changed).status_code == 200
    assert browser.get(page_at(link["url"], "/connect/form")).status_code == 404


def test_a_link_lives_no_longer_than_the_token_that_makes_it(house: House) -> None:
    body = {"name": "short", "scopes": ["admin"], "expires_at": "2999-01-01T00:00:00Z"}
    token = house.server.ask("POST", "/v1/tokens", json=body).json()
    house.server.rows("UPDATE tokens SET expires_at = now() + interval '1 hour' WHERE name = 'short'")
    wanted = {"system": "demo", "name": "Plant", "store": house.store, "hours": 72}
    made = house.server.ask("POST", "/v1/connect-links", json=wanted, token=token["token"])
    ends = house.server.rows("SELECT expires_at FROM tokens WHERE name = 'short'")[0]["expires_at"]
    assert datetime.fromisoformat(made.json()["expires_at"]) == ends


@pytest.mark.parametrize("ended", ["revoked", "expired", "maker"])
def test_a_link_that_is_over_says_the_same_as_one_that_never_was(
    house: House, browser: httpx.Client, ended: str
) -> None:
    link = house.link(system="demo", name="Plant")
    never = browser.get(page_at(link["url"], "/connect/" + "x" * 43))
    if ended == "revoked":
        assert house.server.ask("DELETE", f"/v1/connect-links/{link['id']}").status_code == 200
    elif ended == "expired":
        house.server.rows("UPDATE connect_links SET expires_at = now()")
    else:
        house.server.rows(
            "WITH t AS (INSERT INTO tokens (name, owner, environment, scopes, digest, ending, revoked_at) VALUES"
            " ('x', 'x', 'live', '{admin}', decode(md5(random()::text), 'hex'), 'x', now()) RETURNING id)"
            " UPDATE connect_links SET created_by = (SELECT id FROM t)"
        )
    over = browser.get(link["url"])
    assert (over.status_code, over.text) == (never.status_code, never.text) == (404, over.text)


def test_a_form_of_somebody_else_is_refused(house: House, browser: httpx.Client) -> None:
    shown = opened(browser, house.link(system="demo", name="Plant")["url"])
    form = page_at(str(shown.url), "/connect/form")
    assert browser.post(form, data={"proof": "x"}).status_code == 404
    proof = re.search(r'name="proof" value="([^"]+)"', shown.text)
    assert proof
    foreign = browser.post(form, data={"proof": proof[1]}, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 404


def test_a_form_that_a_page_of_another_host_sends_is_refused(house: House, browser: httpx.Client) -> None:
    url = house.link(system="demo", name="Plant")["url"]
    start, link = page_at(url, "/connect/start"), {"link": url.rpartition("/")[2]}
    planted = browser.post(start, data=link, headers={"Sec-Fetch-Site": "cross-site"})
    assert (planted.status_code, "set-cookie" in planted.headers) == (404, False)
    ours = browser.post(start, data=link, headers={"Sec-Fetch-Site": "same-origin"})
    assert ours.status_code == 303


def test_a_form_that_holds_too_much_says_so(house: House, browser: httpx.Client) -> None:
    url = house.link(system="demo", name="Plant")["url"]
    opened(browser, url)
    answer = browser.post(page_at(url, "/connect/form"), data={"secret.token": "x" * 70_000})
    assert "too much" in answer.text
    assert browser.get(page_at(url, "/connect/form")).status_code == 200


def test_a_link_to_a_system_that_was_taken_away_is_over(house: House, browser: httpx.Client) -> None:
    link = house.link(system="demo", name="Plant")
    opened(browser, link["url"])
    house.server.rows("UPDATE connect_links SET system = 'no-more'")
    answer = browser.get(page_at(link["url"], "/connect/form"))
    assert (answer.status_code, answer.headers["content-type"][:9]) == (404, "text/html")


def test_the_cookie_is_of_this_host_alone_where_there_is_tls(house: House, browser: httpx.Client) -> None:
    url = house.link(system="demo", name="Plant")["url"]
    link = {"link": url.rpartition("/")[2]}
    given = browser.post(page_at(url, "/connect/start"), data=link, headers={"Host": "connect.example.com"})
    name, *attributes = given.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-headrace_connect=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} == set(attributes)


def test_the_page_allows_no_script_no_frame_and_no_referrer(house: House, browser: httpx.Client) -> None:
    shown = browser.get(house.link(system="demo", name="Plant")["url"])
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert shown.headers["cache-control"] == "no-store"
    assert "<script" not in shown.text
    assert "style=" not in shown.text


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ({"system": "demo", "name": "P", "store": "env://X_"}, "bad_store", "body.store"),
        ({"system": "demmo", "name": "P"}, "unknown_system", None),
        ({"system": "demo"}, "missing_key", "body.name"),
        ({"system": "demo", "name": "P", "settings": {"bas": "x"}}, "unknown_key", "body.settings.bas"),
        (
            {"system": "demo", "name": "P", "secrets": {"token": "plain-text"}},
            "settings_needed",
            "body.settings",
        ),
        (
            {"system": "demo", "name": "P", "return_url": "javascript:alert(1)"},
            "bad_return_url",
            "body.return_url",
        ),
    ],
)
def test_what_could_not_work_is_refused_when_it_is_made(
    house: House, body: dict[str, Any], code: str, place: str | None
) -> None:
    answer = house.server.ask("POST", "/v1/connect-links", json={"store": house.store, **body})
    assert (answer.json()["code"], answer.json().get("place")) == (code, place), answer.text


def test_a_link_of_one_customer_makes_no_connection_that_is_named_after_another(house: House) -> None:
    house.server.rows(
        "INSERT INTO connections (name, environment, system, tenant) VALUES ('theirs', 'live', 'demo', 'acme-north')"
    )
    body = {"name": "acme", "scopes": ["admin"], "tenants": ["acme"], "secret_prefixes": [house.store]}
    token = house.server.ask("POST", "/v1/tokens", json=body).json()["token"]
    for name, status in (("acme-north 1", 403), ("acme-northern", 201)):
        wanted = {"system": "demo", "name": name, "store": house.store}
        made = house.server.ask("POST", "/v1/connect-links", json=wanted, token=token)
        assert made.status_code == status, made.text


def test_a_link_is_made_for_no_name_that_is_taken(house: House) -> None:
    house.server.rows("INSERT INTO connections (name, environment, system) VALUES ('Plant', 'live', 'demo')")
    wanted = {"system": "demo", "name": "Plant", "store": house.store}
    answer = house.server.ask("POST", "/v1/connect-links", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_links_are_listed_with_who_made_them_and_without_what_opens_them(house: House) -> None:
    link = house.link(system="demo", name="Plant")
    listed = house.server.ask("GET", "/v1/connect-links")
    assert [each["name"] for each in listed.json()["links"]] == ["Plant"]
    assert link["url"].rpartition("/")[2] not in listed.text
    maker = house.server.ask("GET", "/v1/session").json()["token_id"]
    assert [each["created_by"] for each in listed.json()["links"]] == [link["created_by"]] == [maker]
