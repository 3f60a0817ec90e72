"""A browser logs in with a token, and has a cookie for it that is no more than the token."""

from typing import Any

import httpx
import pytest
from servers.installation.application import Application
from servers.rows.customers import Customers

from scheduler.access.door.sessions import IDLE, MOST, prune_sessions
from scheduler.access.principal import Scope

pytestmark = pytest.mark.integration

OURS = {"Host": "headrace.example.com", "Origin": "https://headrace.example.com"}


class Browser:
    """Sends its cookie with whatever it asks for, from a page of this origin."""

    def __init__(self, api: Application, origin: str | None = OURS["Origin"]) -> None:
        answer = api.ask("POST", "/v1/session", headers=OURS)
        assert answer.status_code == 201, answer.text
        self.opened = answer
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        self._api = api.shown(None)
        self.origin = origin

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        origin = {"Origin": self.origin} if self.origin else {}
        headers = {"Host": OURS["Host"], "Cookie": self.cookie} | origin
        return self._api.ask(method, path, headers=headers, **more)


@pytest.fixture
def api(customers: Customers) -> Application:
    return customers.api(tenants=["acme"])


def test_a_session_is_its_token(customers: Customers, api: Application) -> None:
    browser = Browser(api)
    own = api.read("/v1/tokens/self")
    assert browser.ask("GET", "/v1/tokens/self").json()["id"] == own["id"]
    shown = browser.ask("GET", "/v1/session").json()
    assert (shown["token_id"], shown["environment"]) == (own["id"], "live")
    listed = browser.ask("GET", "/v1/runs").json()["runs"]
    assert {run["connection"] for run in listed} == {"acme"}


def test_a_session_has_its_tokens_scopes(customers: Customers) -> None:
    browser = Browser(customers.api(scopes=[Scope.READ]))
    assert browser.ask("POST", "/v1/tokens", json={"name": "t", "scopes": ["read"]}).status_code == 403
    assert browser.ask("GET", "/v1/session").json()["scopes"] == ["read"]


def test_the_cookie_is_kept_from_pages_from_other_hosts_and_from_plain_http(api: Application) -> None:
    header = Browser(api).opened.headers["set-cookie"]
    assert header.startswith("__Host-headrace_session=")
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(header.split("; "))


def test_only_a_digest_of_it_is_kept(customers: Customers, api: Application) -> None:
    value = Browser(api).cookie.partition("=")[2]
    for row in customers.database.all("SELECT row_to_json(s)::text AS text FROM sessions s"):
        assert value not in row["text"]
        assert value.encode().hex() not in row["text"]


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://headrace.example.com"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_page_changes_nothing(api: Application, origin: str | None, method: str) -> None:
    browser = Browser(api, origin)
    answer = browser.ask(method, "/v1/session")
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert browser.ask("GET", "/v1/session").status_code == 200


def test_our_own_page_changes_something(api: Application) -> None:
    answer = Browser(api).ask("POST", "/v1/tokens", json={"name": "t", "scopes": ["read"]})
    assert answer.status_code == 201, answer.text


def test_another_page_logs_nobody_in(api: Application) -> None:
    answer = api.ask("POST", "/v1/session", headers=OURS | {"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "set-cookie" not in answer.headers


def test_a_session_opens_no_other(api: Application) -> None:
    answer = Browser(api).ask("POST", "/v1/session")
    assert (answer.status_code, answer.json()["code"]) == (403, "token_needed")


def test_logging_out_ends_it_for_whoever_has_the_cookie(customers: Customers, api: Application) -> None:
    browser = Browser(api)
    answer = browser.ask("DELETE", "/v1/session")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert browser.ask("GET", "/v1/session").status_code == 401
    acts = customers.api().read("/v1/audit", action="session.")["acts"][:2]
    assert [act["action"] for act in acts] == ["session.close", "session.open"]


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE tokens SET revoked_at = now() WHERE id = %(id)s",
        "UPDATE tokens SET expires_at = now() WHERE id = %(id)s",
        "UPDATE tokens SET networks = '{192.0.2.0/24}' WHERE id = %(id)s",
        "UPDATE sessions SET expires_at = now() WHERE token_id = %(id)s",
        "UPDATE sessions SET seen_at = now() - interval '3 hours' WHERE token_id = %(id)s",
    ],
)
def test_a_session_ends_with_its_token_with_its_time_or_when_it_is_left_alone(
    customers: Customers, api: Application, end: str
) -> None:
    browser = Browser(api)
    customers.database.run(end, api.read("/v1/tokens/self"))
    assert browser.ask("GET", "/v1/session").status_code == 401


def test_a_token_in_the_header_counts_before_a_cookie(customers: Customers, api: Application) -> None:
    """A program that keeps cookies is asked for no origin, and a wrong token isn't saved by a cookie."""
    cookie = {"Host": OURS["Host"], "Cookie": Browser(api).cookie}
    other = customers.api("test")
    assert other.ask("GET", "/v1/session", headers=cookie).json()["environment"] == "test"
    wrong = api.shown("hr_live_" + "0" * 28)
    assert wrong.ask("GET", "/v1/session", headers=cookie).status_code == 401


def test_a_token_has_so_many_sessions_and_the_newest_are_kept(customers: Customers, api: Application) -> None:
    first, *_ = (Browser(api) for _ in range(MOST + 1))
    assert first.ask("GET", "/v1/session").status_code == 401
    own = api.read("/v1/tokens/self")
    rows = customers.database.all("SELECT FROM sessions WHERE token_id = %(id)s", own)
    assert len(rows) == MOST


def test_sessions_that_ended_are_forgotten(customers: Customers, api: Application) -> None:
    Browser(api)
    kept = Browser(api)
    customers.database.run(
        "UPDATE sessions SET seen_at = now() - make_interval(secs => %(idle)s + 1)"
        " WHERE created_at < (SELECT max(created_at) FROM sessions)",
        {"idle": IDLE},
    )
    assert prune_sessions(customers.database, 1000) > 0
    assert len(customers.database.all("SELECT FROM sessions")) == 1
    assert kept.ask("GET", "/v1/session").status_code == 200
