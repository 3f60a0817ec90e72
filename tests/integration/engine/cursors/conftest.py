"""An office for each test. The services are of all tests of a file: each has a connection of its own, and nothing else is there."""

from collections.abc import Iterator

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.postgres import PostgresServer
from servers.systems.scripted import scripted_source

from scheduler.embedded.valkey import EmbeddedValkey
from worker.config import load_settings
from worker.services import Services

from .office import DEMO, MANIFEST, Bench, Office  # type: ignore[import-not-found]


@pytest.fixture(scope="module")
def services(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    """Of all tests here: each has a connection of its own, and nothing else is there."""
    folder = tmp_path_factory.mktemp("connectors")
    for system, text in (("office", MANIFEST), ("demo_by_place", DEMO)):
        (folder / system).mkdir()
        (folder / system / "manifest.yaml").write_text(text)
    with postgres_server.fresh_database() as url:
        opened = Services.open(
            load_settings(
                database_url=SecretStr(url), broker_url=SecretStr(valkey_server.url), connectors=(folder,)
            ),
            name="test",
        )
        yield opened
        opened.close()


@pytest.fixture
def bench(services: Services) -> Iterator[Bench]:
    for table in ("connections", "runs", "run_history", "records"):
        services.database.run(f"DELETE FROM {table}")
    office = Office()
    with scripted_source(office) as source:
        row = services.database.one(
            "INSERT INTO connections (name, system, settings) VALUES ('o', 'office', %(s)s) RETURNING id",
            {"s": Jsonb({"base_url": source.base_url})},
        )
        assert row is not None
        yield Bench(services, source, office, row["id"])
