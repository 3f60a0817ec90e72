"""Headrace in a browser: one Chromium, one API with Flower behind it, and one demo system for all of these tests."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright
from servers.installation.api import Server, free_port, serving
from servers.policy import require
from servers.postgres import PostgresServer
from servers.systems.consenting import CLIENT, CLIENT_SECRET, Consenting, consenting, write_manifest
from servers.systems.demo import Demo
from servers.waiting import wait_until

from scheduler.embedded.valkey import EmbeddedValkey

NAMES = ("chromium", "chromium-browser", "google-chrome")
ALONE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
"""It reaches this machine and nothing else."""
PATIENCE = 30.0
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For a module and no longer: while Playwright is there, no other event loop runs in this thread."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        require(
            "There is no Chromium here to look at pages with: apt-get install chromium, or put one on the PATH."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*ALONE])
        yield browser
        browser.close()


@dataclass
class House:
    """What the pages are about."""

    server: Server
    demo: Demo
    system: Consenting
    store: Path
    ours: Path

    def link(self, **body: Any) -> str:
        """Where a customer is asked to connect something."""
        given = {"store": f"file://{self.store}/", "private_addresses": True, **body}
        answer = self.server.ask("POST", "/v1/connect-links", json=given)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    def link_by_login(self, **body: Any) -> str:
        """The same for a system where they log in."""
        secrets = {name: f"file://{self.ours}/{name}" for name in ("client_id", "client_secret")}
        return self.link(system="consenting", settings={"port": self.system.port}, secrets=secrets, **body)


@pytest.fixture(scope="module")
def house(
    chromium: Browser,
    postgres_server: PostgresServer,
    valkey_server: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    del chromium  # without one nothing is started
    home = tmp_path_factory.mktemp("house")
    for folder in ("typed", "ours"):
        (home / folder).mkdir()
    (home / "ours" / "client_id").write_text(CLIENT)
    (home / "ours" / "client_secret").write_text(CLIENT_SECRET)
    settings = {
        "HEADRACE_CONNECTORS": str(write_manifest(home / "connectors")),
        "HEADRACE_FLOWER_PORT": str(free_port()),
    }
    demo = Demo(home / "demo", "--rate", "0", "--factor", "0.05", "--requests", "0").start()
    try:
        with (
            consenting() as system,
            postgres_server.fresh_database() as url,
            serving(url, valkey_server.url, home, **settings) as server,
            flower(home, valkey_server.url, settings),
        ):
            yield House(server, demo, system, home / "typed", home / "ours")
    finally:
        demo.client.close()
        demo.kill()


@contextmanager
def flower(home: Path, broker_url: str, settings: Mapping[str, str]) -> Iterator[None]:
    """The Flower that the API shows. It has no worker to tell of."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    ours = {"HEADRACE_HOME": str(home), "HEADRACE_BROKER_URL": broker_url, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-P", "-m", "scheduler.cli", "flower"]
    with (home / "flower.out").open("wb") as out:
        process = subprocess.Popen(command, env=kept | settings | ours, stdout=out, stderr=out, cwd=home)

    def answers() -> bool:
        assert process.poll() is None, (home / "flower.out").read_text()
        try:
            address = f"http://127.0.0.1:{settings['HEADRACE_FLOWER_PORT']}/flower/healthcheck"
            return httpx.get(address, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, PATIENCE, what="the start of Flower")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)
