"""A customer connects a system by a link, as their browser does it: typed in, or by OAuth 2.0 with PKCE."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from servers.installation.api import Server, serving
from servers.postgres import PostgresServer
from servers.systems.consenting import CLIENT, CLIENT_SECRET, Consenting, consenting, write_manifest
from servers.systems.demo import TOKEN as DEMO_TOKEN
from servers.systems.demo import Demo

from scheduler.embedded.valkey import EmbeddedValkey

TYPED = "typed-in-by-a-customer-0815"


@dataclass
class House:
    server: Server
    home: Path
    store: str
    system: Consenting

    def link(self, **body: Any) -> dict[str, Any]:
        answer = self.server.ask("POST", "/v1/connect-links", json={"store": self.store, **body})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def of_oauth(self, **body: Any) -> dict[str, Any]:
        return self.link(
            **{
                "system": "consenting", "name": "Acme", "tenant": "acme",
                "settings": {"port": self.system.port},
                "secrets": {"client_id": f"file://{self.home}/ours/client-id", "client_secret": f"file://{self.home}/ours/client-secret"},
                **body,
            }
        )  # fmt: skip

    def typed(self) -> list[str]:
        """What lies in the store."""
        return [path.read_text() for path in Path(self.store.removeprefix("file://")).iterdir()]

    def connection(self, name: str) -> dict[str, Any]:
        [row] = self.server.rows("SELECT * FROM connections WHERE name = %s", name)
        return row


@pytest.fixture(scope="module")
def shared(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    home = tmp_path_factory.mktemp("api")
    (home / "typed").mkdir()
    (home / "ours").mkdir()
    (home / "ours" / "client-id").write_text(CLIENT)
    (home / "ours" / "client-secret").write_text(CLIENT_SECRET)
    connectors = write_manifest(home / "connectors")
    with (
        consenting() as system,
        postgres_server.fresh_database() as url,
        serving(url, valkey_server.url, home, HEADRACE_CONNECTORS=str(connectors)) as running,
    ):
        yield House(running, home, f"file://{home}/typed/", system)


@pytest.fixture
def house(shared: House) -> House:
    for table in ("connect_links", "connections"):
        shared.server.rows(f"DELETE FROM {table}")
    shared.system.forbidden = frozenset()
    for path in Path(shared.store.removeprefix("file://")).iterdir():
        path.unlink()
    return shared


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


def opened(browser: httpx.Client, url: str) -> httpx.Response:
    """The link is looked at, and its button pressed."""
    shown = browser.get(url)
    assert shown.status_code == 200, shown.text
    secret = re.search(r'name="link" value="([^"]+)"', shown.text)
    assert secret
    answer = browser.post(_at(url, "/connect/start"), data={"link": secret[1]}, follow_redirects=True)
    assert urlsplit(str(answer.url)).path == "/connect/form"
    return answer


def sent(browser: httpx.Client, shown: httpx.Response, **fields: str) -> httpx.Response:
    proof = re.search(r'name="proof" value="([^"]+)"', shown.text)
    assert proof
    return browser.post(_at(str(shown.url), "/connect/form"), data={"proof": proof[1], **fields})


def consented(browser: httpx.Client, away: httpx.Response) -> str:
    """The browser goes to the system, where somebody says yes: the address with which it comes back."""
    assert away.status_code == 200, away.text
    target = re.search(r'href="(http[^"]+/authorize[^"]+)"', away.text)
    assert target, away.text
    return str(browser.get(unescape(target[1])).headers["location"])


def _at(url: str, path: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{path}"


class TestOAuth:
    def test_a_customer_logs_in_there_and_is_connected(self, house: House, browser: httpx.Client) -> None:
        link = house.of_oauth(return_url="https://acme.example/done")
        back = consented(browser, sent(browser, opened(browser, link["url"])))
        done = browser.get(back)
        assert done.status_code == 200, done.text
        assert "Consenting CMMS is connected" in done.text
        assert 'href="https://acme.example/done"' in done.text
        row = house.connection("Acme")
        assert (row["tenant"], row["environment"], row["file_id"]) == ("acme", "live", None)
        kept = Path(row["secrets"]["refresh_token"].removeprefix("file://"))
        assert (
            kept.read_text() in house.system.refresh
        )  # it was spent by the trial, and what came instead is kept
        assert (kept.stat().st_mode & 0o777) == 0o600

    def test_a_state_is_good_once_and_for_one_browser(self, house: House, browser: httpx.Client) -> None:
        back = consented(browser, sent(browser, opened(browser, house.of_oauth()["url"])))
        with httpx.Client(trust_env=False) as other:
            assert other.get(back).status_code == 404
            opened(other, house.of_oauth(name="Mine")["url"])
            assert other.get(back).status_code == 422
            assert house.server.rows("SELECT 1 FROM connections") == []
        assert browser.get(back).status_code == 200
        again = browser.get(back)
        assert (again.status_code, "has done what it was for" in again.text) == (200, True)
        assert len(house.server.rows("SELECT 1 FROM connections")) == 1

    def test_neither_verifier_nor_state_nor_link_is_stored_or_logged(
        self, house: House, browser: httpx.Client
    ) -> None:
        link = house.of_oauth()
        back = consented(browser, sent(browser, opened(browser, link["url"])))
        state = dict(part.split("=") for part in urlsplit(back).query.split("&"))["state"]
        held = str(
            [
                house.server.rows(f"SELECT * FROM {table}")
                for table in ("oauth_states", "connect_links", "audit")
            ]
        )
        browser.get(back)
        held += str(house.server.rows("SELECT * FROM connections")) + (house.home / "api.out").read_text()
        secret = link["url"].rpartition("/")[2]
        for planted in (
            state,
            secret,
            house.system.verifiers[-1],
            *house.system.refresh,
            *house.system.access,
        ):
            assert planted not in held

    def test_somebody_who_says_no_may_try_again(self, house: House, browser: httpx.Client) -> None:
        shown = opened(browser, house.of_oauth()["url"])
        away = sent(browser, shown)
        state = re.search(r"state=([A-Za-z0-9_-]+)", unescape(away.text))
        assert state
        no = browser.get(_at(str(shown.url), f"/connect/callback?error=access_denied&state={state[1]}"))
        assert no.status_code == 422
        assert house.server.rows("SELECT 1 FROM connections") == []
        assert browser.get(consented(browser, sent(browser, shown))).status_code == 200

    def test_a_stream_that_may_not_be_read_is_named(self, house: House, browser: httpx.Client) -> None:
        house.system.forbidden = frozenset({"orders"})
        done = browser.get(consented(browser, sent(browser, opened(browser, house.of_oauth()["url"]))))
        assert done.status_code == 200
        assert "may not read these" in done.text

    def test_what_was_given_before_somebody_said_no_is_taken_away_again(
        self, house: House, browser: httpx.Client
    ) -> None:
        link = house.of_oauth(secrets={"client_id": f"file://{house.home}/ours/client-id"})
        shown = opened(browser, link["url"])
        assert 'name="secret.client_secret"' in shown.text
        away = sent(browser, shown, **{"secret.client_secret": TYPED})
        again = sent(browser, shown, **{"secret.client_secret": CLIENT_SECRET})
        assert away.status_code == 200
        assert house.typed() == [CLIENT_SECRET]
        state = re.search(r"state=([A-Za-z0-9_-]+)", unescape(again.text))
        assert state
        back = _at(str(shown.url), f"/connect/callback?error=access_denied&state={state[1]}")
        assert browser.get(back).status_code == 422
        assert house.typed() == []
        stale = browser.get(back)
        assert (stale.status_code, "answered already" in stale.text) == (422, True)

    def test_a_connection_is_logged_in_again(self, house: House, browser: httpx.Client) -> None:
        browser.get(consented(browser, sent(browser, opened(browser, house.of_oauth()["url"]))))
        before = house.connection("Acme")
        house.server.ask("DELETE", f"/v1/connections/{before['id']}?data=keep")
        link = house.server.ask(
            "POST", "/v1/connect-links",
            json={"connection": "Acme", "store": house.store, "secrets": {
                name: reference for name, reference in before["secrets"].items() if name != "refresh_token"}},
        ).json()  # fmt: skip
        with httpx.Client(trust_env=False, timeout=30) as again:
            done = again.get(consented(again, sent(again, opened(again, link["url"]))))
            assert done.status_code == 200, done.text
        after = house.connection("Acme")
        assert after["id"] == before["id"]
        assert after["secrets"]["refresh_token"] != before["secrets"]["refresh_token"]
        assert (after["paused_at"], after["disconnected_at"]) == (None, None)


class TestTyping:
    def test_what_is_typed_in_goes_to_the_store_alone(
        self, house: House, browser: httpx.Client, tmp_path: Path
    ) -> None:
        demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.1", "--requests", "0").start()
        try:
            shown = opened(browser, house.link(system="demo", name="<b>Plant</b>")["url"])
            assert "<b>" not in shown.text
            wrong = sent(browser, shown, **{"setting.base_url": demo.base_url, "secret.token": TYPED})
            assert wrong.status_code == 422
            assert TYPED not in wrong.text
            assert house.typed() == []
            assert house.server.rows("SELECT 1 FROM connections") == []
            done = sent(browser, shown, **{"setting.base_url": demo.base_url, "secret.token": DEMO_TOKEN})
            assert done.status_code == 200, done.text
        finally:
            demo.client.close()
            demo.kill()
        row = house.connection("<b>Plant</b>")
        assert Path(row["secrets"]["token"].removeprefix("file://")).read_text() == DEMO_TOKEN
        held = str(house.server.rows("SELECT * FROM audit")) + (house.home / "api.out").read_text()
        assert DEMO_TOKEN not in held
        assert TYPED not in held

    def test_a_form_that_is_sent_twice_makes_one_connection_and_both_are_told_that_it_is_done(
        self, house: House, browser: httpx.Client, tmp_path: Path
    ) -> None:
        demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.1", "--requests", "0").start()
        try:
            shown = opened(
                browser, house.link(system="demo", name="Plant", return_url="https://a.example/")["url"]
            )
            typed = {"setting.base_url": demo.base_url, "secret.token": DEMO_TOKEN}
            with ThreadPoolExecutor(2) as pool:
                said = [pool.submit(sent, browser, shown, **typed) for _ in range(2)]
                texts = [each.result().text for each in said]
        finally:
            demo.client.close()
            demo.kill()
        assert all("is connected" in text and "https://a.example/" in text for text in texts)
        assert len(house.server.rows("SELECT 1 FROM connections")) == 1
        assert house.typed() == [DEMO_TOKEN]
        assert "is connected" in sent(browser, shown, **typed).text
        assert "is connected" in browser.get(str(shown.url)).text

    def test_a_link_opens_in_one_browser_and_makes_one_connection(
        self, house: House, browser: httpx.Client
    ) -> None:
        url = house.link(system="demo", name="Plant")["url"]
        assert browser.get(url).status_code == browser.get(url).status_code == 200  # looking uses nothing up
        opened(browser, url)
        assert browser.get(url).status_code == 303
        with httpx.Client(trust_env=False) as other:
            assert other.get(url).status_code == 404
            assert (
                other.post(_at(url, "/connect/start"), data={"link": url.rpartition("/")[2]}).status_code
                == 404
            )

    @pytest.mark.parametrize(
        "changed",
        [{"settings": {"port": "9"}}, {"tenant": "brick"}, {"network": {"proxy": "http://127.0.0.1:9"}}],
    )
    def test_a_link_to_a_connection_ends_when_that_becomes_something_else(
        self, house: House, browser: httpx.Client, changed: dict[str, Any]
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
        assert browser.get(_at(link["url"], "/connect/form")).status_code == 200
        assert house.server.ask("PATCH", path, json=changed).status_code == 200
        assert browser.get(_at(link["url"], "/connect/form")).status_code == 404

    def test_a_link_lives_no_longer_than_the_token_that_makes_it(self, house: House) -> None:
        body = {"name": "short", "scopes": ["admin"], "expires_at": "2999-01-01T00:00:00Z"}
        token = house.server.ask("POST", "/v1/tokens", json=body).json()
        house.server.rows("UPDATE tokens SET expires_at = now() + interval '1 hour' WHERE name = 'short'")
        wanted = {"system": "demo", "name": "Plant", "store": house.store, "hours": 72}
        made = house.server.ask("POST", "/v1/connect-links", json=wanted, token=token["token"])
        ends = house.server.rows("SELECT expires_at FROM tokens WHERE name = 'short'")[0]["expires_at"]
        assert datetime.fromisoformat(made.json()["expires_at"]) == ends

    @pytest.mark.parametrize("ended", ["revoked", "expired", "maker"])
    def test_a_link_that_is_over_says_the_same_as_one_that_never_was(
        self, house: House, browser: httpx.Client, ended: str
    ) -> None:
        link = house.link(system="demo", name="Plant")
        never = browser.get(_at(link["url"], "/connect/" + "x" * 43))
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

    def test_a_form_of_somebody_else_is_refused(self, house: House, browser: httpx.Client) -> None:
        shown = opened(browser, house.link(system="demo", name="Plant")["url"])
        at = _at(str(shown.url), "/connect/form")
        assert browser.post(at, data={"proof": "x"}).status_code == 404
        proof = re.search(r'name="proof" value="([^"]+)"', shown.text)
        assert proof
        foreign = browser.post(at, data={"proof": proof[1]}, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 404

    def test_a_form_that_a_page_of_another_host_sends_is_refused(
        self, house: House, browser: httpx.Client
    ) -> None:
        url = house.link(system="demo", name="Plant")["url"]
        start, link = _at(url, "/connect/start"), {"link": url.rpartition("/")[2]}
        planted = browser.post(start, data=link, headers={"Sec-Fetch-Site": "cross-site"})
        assert (planted.status_code, "set-cookie" in planted.headers) == (404, False)
        ours = browser.post(start, data=link, headers={"Sec-Fetch-Site": "same-origin"})
        assert ours.status_code == 303

    def test_the_cookie_is_of_this_host_alone_where_there_is_tls(
        self, house: House, browser: httpx.Client
    ) -> None:
        url = house.link(system="demo", name="Plant")["url"]
        link = {"link": url.rpartition("/")[2]}
        given = browser.post(_at(url, "/connect/start"), data=link, headers={"Host": "connect.example.com"})
        name, *attributes = given.headers["set-cookie"].split("; ")
        assert name.startswith("__Host-headrace_connect=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} == set(attributes)

    def test_a_store_that_refuses_is_told_without_its_name(
        self, house: House, browser: httpx.Client, tmp_path: Path
    ) -> None:
        (tmp_path / "gone").mkdir()
        link = house.link(system="demo", name="Plant", store=f"file://{tmp_path}/gone/")
        shown = opened(browser, link["url"])
        (tmp_path / "gone").rmdir()
        said = sent(browser, shown, **{"setting.base_url": "http://127.0.0.1:9", "secret.token": TYPED})
        assert said.status_code == 422
        assert "tell whoever sent you this link" in said.text
        assert str(tmp_path) not in said.text

    def test_a_system_that_says_nothing_holds_few_threads(self, house: House, browser: httpx.Client) -> None:
        """Whoever has a link names the system: one that never answers must not keep all others from the API."""
        with ThreadPoolExecutor(6) as pool, socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
            shown = opened(browser, house.link(system="demo", name="Plant")["url"])
            typed = {
                "setting.base_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "secret.token": TYPED,
            }
            said = as_completed([pool.submit(sent, browser, shown, **typed) for _ in range(6)])
            first = [next(said).result() for _ in range(4)]
            assert all("Other trials are under way" in each.text for each in first)
            assert {each.status_code for each in first} == {422}

    def test_the_page_allows_no_script_no_frame_and_no_referrer(
        self, house: House, browser: httpx.Client
    ) -> None:
        shown = browser.get(house.link(system="demo", name="Plant")["url"])
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert shown.headers["cache-control"] == "no-store"
        assert "<script" not in shown.text
        assert "style=" not in shown.text


class TestMaking:
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
        self, house: House, body: dict[str, Any], code: str, place: str | None
    ) -> None:
        answer = house.server.ask("POST", "/v1/connect-links", json={"store": house.store, **body})
        assert (answer.json()["code"], answer.json().get("place")) == (code, place), answer.text

    def test_a_link_is_made_for_no_name_that_is_taken(self, house: House) -> None:
        house.server.rows(
            "INSERT INTO connections (name, environment, system) VALUES ('Plant', 'live', 'demo')"
        )
        wanted = {"system": "demo", "name": "Plant", "store": house.store}
        answer = house.server.ask("POST", "/v1/connect-links", json=wanted)
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")

    def test_links_are_listed_without_what_opens_them(self, house: House) -> None:
        secret = house.link(system="demo", name="Plant")["url"].rpartition("/")[2]
        listed = house.server.ask("GET", "/v1/connect-links")
        assert [each["name"] for each in listed.json()["links"]] == ["Plant"]
        assert secret not in listed.text
