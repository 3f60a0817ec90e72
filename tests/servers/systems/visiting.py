"""A customer's browser at the page of a link, and the house that the link leads into."""

import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from servers.installation.api import Server
from servers.systems.consenting import Consenting

TYPED = "typed-in-by-a-customer-0815"


@dataclass
class House:
    server: Server
    home: Path
    store: str
    system: Consenting

    def link(self, **body: Any) -> dict[str, Any]:
        """Systems of tests are on this machine, and may be named there unless a link says otherwise."""
        free = {} if "connection" in body else {"private_addresses": True}
        answer = self.server.ask("POST", "/v1/connect-links", json={"store": self.store, **free, **body})
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


def opened(browser: httpx.Client, url: str) -> httpx.Response:
    """The link is looked at, and its button pressed."""
    shown = browser.get(url)
    assert shown.status_code == 200, shown.text
    secret = re.search(r'name="link" value="([^"]+)"', shown.text)
    assert secret
    answer = browser.post(page_at(url, "/connect/start"), data={"link": secret[1]}, follow_redirects=True)
    assert urlsplit(str(answer.url)).path == "/connect/form"
    return answer


def sent(browser: httpx.Client, shown: httpx.Response, **fields: str) -> httpx.Response:
    proof = re.search(r'name="proof" value="([^"]+)"', shown.text)
    assert proof
    return browser.post(page_at(str(shown.url), "/connect/form"), data={"proof": proof[1], **fields})


def consented(browser: httpx.Client, away: httpx.Response) -> str:
    """The browser goes to the system, where somebody says yes: the address with which it comes back."""
    assert away.status_code == 200, away.text
    target = re.search(r'href="(http[^"]+/authorize[^"]+)"', away.text)
    assert target, away.text
    return str(browser.get(unescape(target[1])).headers["location"])


def page_at(url: str, path: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{path}"
