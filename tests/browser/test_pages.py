"""The pages that people see, as their browser shows them: logging in, connecting a system, and Flower."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser.conftest import House
from browser.looking import Sight, somebody
from playwright.sync_api import Browser
from servers.installation.api import TOKEN
from servers.systems.demo import TOKEN as DEMO_TOKEN

from scheduler.access.tokens import make_token

pytestmark = pytest.mark.integration


@pytest.fixture
def person(chromium: Browser) -> Iterator[Sight]:
    with somebody(chromium) as sight:
        yield sight


def log_in(person: Sight, token: str = TOKEN) -> None:
    """By the keyboard alone: the field is ready to be typed into."""
    assert person.focused() == "token"
    person.page.keyboard.insert_text(token)
    with person.page.expect_navigation():
        person.page.keyboard.press("Enter")


def test_whoever_wants_to_see_something_logs_in_sees_it_and_logs_out(house: House, person: Sight) -> None:
    page, url = person.page, house.server.url
    page.goto(f"{url}/v1/session")
    assert page.url == f"{url}/login?next=/v1/session"
    person.look("login")
    wrong = make_token("live")
    log_in(person, wrong)
    assert "no valid token" in page.get_by_role("alert").inner_text()
    assert wrong not in page.content()
    person.look("login-refused")
    log_in(person)
    assert page.url == f"{url}/v1/session"
    assert page.evaluate("document.cookie") == "", "no script reads it"
    page.goto(url)
    assert "You are logged in" in person.words
    person.look("inside")
    for expected in ("Flower", "Log out"):
        page.keyboard.press("Tab")
        assert person.focused() == expected
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url == f"{url}/login"
    page.goto(f"{url}/v1/session")
    assert page.url == f"{url}/login?next=/v1/session", "the session is over"


def test_another_page_of_the_same_machine_changes_nothing_in_somebodys_name(
    house: House, chromium: Browser
) -> None:
    """For a browser a page on another port is the same site, so it sends the cookie along."""
    with somebody(chromium) as person:
        page, url = person.page, house.server.url
        page.goto(f"{url}/login")
        log_in(person)
        with another_page(f'<form method="post" action="{url}/logout"><button>Win</button></form>') as trap:
            page.goto(trap)
            with page.expect_navigation() as answered:
                page.get_by_role("button").click()
            assert answered.value.status == 403
            assert "cross_site" in person.words
            page.goto(trap)
            read = f"fetch('{url}/v1/connections', {{credentials: 'include'}}).then(a => a.text()).catch(() => 'unread')"
            assert page.evaluate(read) == "unread"
        page.goto(url)
        assert "You are logged in" in person.words
        assert any("CORS" in each for each in person.complaints), "the browser kept the answer from that page"
        person.complaints.clear()


def test_flower_shows_its_pages_behind_the_login(house: House, person: Sight) -> None:
    page, url = person.page, house.server.url
    page.goto(f"{url}/flower/")
    log_in(person)
    for path in ("workers", "broker", "tasks"):
        page.goto(f"{url}/flower/{path}")
    page.get_by_text("No tasks have been received").wait_for()


def test_a_customer_connects_a_system_by_typing_what_it_needs(house: House, chromium: Browser) -> None:
    link = house.link(system="demo", name="Mill 7", return_url=f"{house.server.url}/healthz")
    with somebody(chromium) as customer:
        page = customer.page
        page.goto(link)
        customer.look("connect")
        page.keyboard.press("Tab")
        assert customer.focused() == "Continue"
        with page.expect_navigation():
            page.keyboard.press("Enter")
        customer.look("connect-form")
        fill(customer, {"setting.base_url": house.demo.base_url, "secret.token": "wrong-one"})
        assert page.get_by_role("alert").is_visible()
        assert "wrong-one" not in page.content()
        customer.look("connect-refused")
        assert page.input_value("[name='setting.base_url']") == house.demo.base_url, (
            "only the secret is typed anew"
        )
        fill(customer, {"setting.base_url": house.demo.base_url, "secret.token": DEMO_TOKEN})
        assert "is connected" in page.get_by_role("heading").inner_text()
        assert "work orders" in customer.words
        customer.look("connected")
        with page.expect_navigation():
            page.get_by_role("link", name="Go back").click()
        assert page.url == f"{house.server.url}/healthz"
    assert house.server.rows("SELECT system FROM connections WHERE name = 'Mill 7'") == [{"system": "demo"}]
    with somebody(chromium) as other:
        other.page.goto(link)
        assert "not valid" in other.page.get_by_role("heading").inner_text()
        other.look("connect-gone")


def fill(customer: Sight, fields: dict[str, str]) -> None:
    """Field by field as they come, and Enter."""
    page = customer.page
    for name, value in fields.items():
        page.keyboard.press("Tab")
        assert customer.focused() == name
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(value)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_customer_connects_a_system_by_logging_in_there(house: House, person: Sight) -> None:
    page = person.page
    page.goto(house.link_by_login(name="Acme"))
    page.get_by_role("button").click()
    person.look("connect-login")
    page.get_by_role("button").click()
    page.wait_for_url(re.compile("/connect/callback"))
    assert "Consenting CMMS is connected" in page.get_by_role("heading").inner_text()


@contextmanager
def another_page(html: str) -> Iterator[str]:
    """Somebody else's page on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
