"""An API with a system to log in at, a store for what is typed, and a browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from servers.installation.api import serving
from servers.postgres import PostgresServer
from servers.systems.consenting import CLIENT, CLIENT_SECRET, consenting, write_manifest
from servers.systems.visiting import House

from scheduler.embedded.valkey import EmbeddedValkey


@pytest.fixture(scope="session")
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
