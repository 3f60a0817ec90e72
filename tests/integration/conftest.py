"""What many of these tests begin with: a ledger, a demo system with a connection to it, and the commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.installation.commands import Command, commands
from servers.rows.ledger import Ledger, new_ledger
from servers.systems.bench import Bench, bench_for
from servers.systems.demo import Demo

from worker.db.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url, name="test", pool=4)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """One connection with two streams, and runs that need no system."""
    return new_ledger(database)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    system = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.3", "--requests", "0").start()
    yield system
    system.client.close()
    system.kill()


@pytest.fixture
def bench(database_url: str, broker_url: str, demo: Demo) -> Iterator[Bench]:
    """A connection to that demo system, whose runs are carried out here and now."""
    with bench_for(database_url, broker_url, demo) as made:
        yield made


@pytest.fixture
def headrace(
    database_url: str,
    broker_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Commands in this process, on a database of this test's own."""
    with commands(database_url, broker_url, tmp_path / "home", monkeypatch, capfd) as command:
        yield command
