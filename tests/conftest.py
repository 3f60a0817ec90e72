"""Fixtures that every test may ask for.

The servers are real: started at the first test that asks, one set per pytest process (so each worker of xdist has its
own), and stopped with it. `database_url` and `broker_url` are what a test usually wants.
"""

import logging
from collections.abc import Iterator

import pytest
import structlog
from servers.memory import memory_folder
from servers.postgres import PostgresServer, running_postgres
from servers.valkey import empty, running_valkey

from scheduler.embedded.valkey import EmbeddedValkey
from worker.telemetry.files import FileOutput, StreamOutput

pytest_plugins = ["servers.policy", "servers.systems.tryton.server", "servers.systems.cap"]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that sets logging up, as every command does, must not decide what later tests of its process can see."""
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if isinstance(handler, StreamOutput | FileOutput)]:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One embedded Postgres for the session. Don't stop it; a test that must kill a server starts its own."""
    with (
        memory_folder(tmp_path_factory.mktemp("postgres")) as folder,
        running_postgres(folder) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One embedded Valkey for the session. Don't stop it; a test that must kill a server starts its own."""
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own without anything in it."""
    with postgres_server.fresh_database(empty=True) as url:
        yield url


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own, as the template has it."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def broker_url(valkey_server: EmbeddedValkey) -> str:
    """The session's Valkey, emptied for this test."""
    empty(valkey_server.url)
    return valkey_server.url
