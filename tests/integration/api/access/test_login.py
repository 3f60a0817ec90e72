"""People log in on a page without a script, and are sent nowhere but to pages of this host."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from servers.rows.customers import Customers

from scheduler.access.door.guessing import TRIES
from scheduler.access.door.paths import is_local
from scheduler.access.principal import Scope
from scheduler.access.tokens import make_token
from scheduler.api.app import create_app

pytestmark = pytest.mark.integration

HOST, ORIGIN = "headrace.example.com", "https://headrace.example.com"


class Browser:
    """Follows nothing by itself, so that a test sees where it is sent."""

    def __init__(self, customers: Customers) -> None:
        self._app = create_app(customers.database)
        self.cookie = ""

    def ask(self, method: str, path: str, *, origin: str | None = ORIGIN, **form: str) -> httpx.Response:
        headers = {"Host": HOST, "Accept": "text/html,*/*;q=0.8"}
        headers |= {"Cookie": self.cookie} if self.cookie else {}
        if method == "POST":
            headers |= {"Origin": origin} if origin else {}
            headers["Content-Type"] = "application/x-www-form-urlencoded"

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="https://api") as client:
                return await client.request(method, path, headers=headers, content=urlencode(form))

        answer = asyncio.run(asked())
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer


@pytest.fixture
def browser(customers: Customers) -> Browser:
    return Browser(customers)


def test_whoever_comes_without_a_session_logs_in_and_goes_on(customers: Customers, browser: Browser) -> None:
    sent = browser.ask("GET", "/v1/session")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=/v1/session")
    page = browser.ask("GET", sent.headers["location"])
    assert page.status_code == 200
    assert 'name="next" value="/v1/session"' in page.text
    done = browser.ask("POST", "/login", token=customers.token(), next="/v1/session")
    assert (done.status_code, done.headers["location"]) == (303, "/v1/session")
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(done.headers["set-cookie"].split("; "))
    assert browser.ask("GET", "/v1/session").status_code == 200


def test_strangers_are_sent_to_log_in_from_any_path_alike(browser: Browser) -> None:
    for path in ("/v1/runs", "/v1/nothing", "/", "/flower/tasks"):
        assert browser.ask("GET", path).headers["location"] == f"/login?next={path}"


def test_the_page_runs_and_loads_nothing(browser: Browser) -> None:
    page = browser.ask("GET", "/login")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in page.text
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"


def test_a_wrong_token_is_told_and_shown_nowhere(browser: Browser) -> None:
    wrong = make_token("live")
    answer = browser.ask("POST", "/login", token=wrong)
    assert answer.status_code == 401
    assert "no valid token" in answer.text
    assert wrong not in answer.text
    assert "set-cookie" not in answer.headers


def test_guessing_on_the_page_is_held_as_everywhere(browser: Browser) -> None:
    statuses = [browser.ask("POST", "/login", token=make_token("live")).status_code for _ in range(TRIES + 1)]
    assert statuses == [*[401] * TRIES, 429]


def test_another_page_logs_nobody_in(customers: Customers, browser: Browser) -> None:
    for origin in (None, "null", "https://evil.example", f"http://{HOST}"):
        answer = browser.ask("POST", "/login", origin=origin, token=customers.token())
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), origin
        assert "set-cookie" not in answer.headers


def test_nobody_is_sent_to_another_host(customers: Customers, browser: Browser) -> None:
    for onward in (
        "", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\r\nX: y", '/%0d"><b>', "x",
    ):  # fmt: skip
        browser.cookie = ""
        assert not is_local(onward)
        page = browser.ask("GET", "/login?" + urlencode({"next": onward}))
        assert 'name="next" value=""' in page.text
        done = browser.ask("POST", "/login", token=customers.token(), next=onward)
        assert (done.status_code, done.headers["location"]) == (303, "/"), onward
        assert "You are logged in" in browser.ask("GET", "/").text


def test_a_name_is_shown_as_text(customers: Customers, browser: Browser) -> None:
    token = customers.token()
    customers.database.run("UPDATE tokens SET owner = '<b>$body' WHERE ending = %(end)s", {"end": token[-4:]})
    browser.ask("POST", "/login", token=token)
    assert "&lt;b&gt;$body" in browser.ask("GET", "/").text


@pytest.mark.parametrize(
    ("who", "led"),
    [
        ({}, True),
        ({"scopes": (Scope.READ,)}, False),
        ({"tenants": ["acme"]}, False),
        ({"environment": "test"}, False),
    ],
)
def test_the_first_page_leads_to_flower_who_may_see_it(
    customers: Customers, browser: Browser, who: dict[str, Any], led: bool
) -> None:
    browser.ask("POST", "/login", token=customers.token(**who))
    assert ('href="/flower/"' in browser.ask("GET", "/").text) == led


def test_logging_out_ends_the_session_and_only_from_our_page(customers: Customers, browser: Browser) -> None:
    browser.ask("POST", "/login", token=customers.token())
    cookie = browser.cookie
    assert browser.ask("POST", "/logout", origin="https://evil.example").status_code == 403
    done = browser.ask("POST", "/logout")
    assert (done.status_code, done.headers["location"]) == (303, "/login")
    browser.cookie = cookie
    assert browser.ask("GET", "/v1/session").status_code == 303
