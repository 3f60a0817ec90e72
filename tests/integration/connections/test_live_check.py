"""A connector is checked against the account of a connection, through the account's own budget."""

import json

import pytest
from servers.installation.commands import Command
from servers.systems.bench import Bench

from worker.connectors.registry.places import CATALOG

pytestmark = pytest.mark.integration

FOLDER = str(CATALOG / "demo")


def test_the_account_is_asked_a_few_times_and_shows_that_the_connector_fits(
    bench: Bench, headrace: Command
) -> None:
    before = len(bench.demo.arrivals())
    done = headrace("connector", "check", FOLDER, "--live", "d", "--yes", "--stream", "parts", "--json")
    assert done.code == 0, done.out + done.err
    found = json.loads(done.out)
    assert (found["against"], found["kept"]) == ("live", True)
    assert {each["check"]: each["mark"] for each in found["checks"]}["live_increment"] == "passed"
    assert 0 < len(bench.demo.arrivals()) - before <= 5


def test_nothing_is_asked_unless_somebody_says_so(bench: Bench, headrace: Command) -> None:
    before = len(bench.demo.arrivals())
    done = headrace("connector", "check", FOLDER, "--live", "d")
    assert done.code != 0
    assert "--yes" in done.err
    assert len(bench.demo.arrivals()) == before


def test_the_account_is_asked_by_the_proxy_of_its_connection(bench: Bench, headrace: Command) -> None:
    before = len(bench.demo.arrivals())
    with bench.services.database.transaction() as tx:
        tx.execute(
            "UPDATE connections SET network = %(network)s WHERE id = %(id)s",
            {"network": json.dumps({"proxy": "http://127.0.0.1:9"}), "id": bench.connection},
        )
    done = headrace("connector", "check", FOLDER, "--live", "d", "--yes", "--stream", "parts", "--json")
    assert done.code == 1, done.out + done.err
    assert "proxy" in done.out
    assert len(bench.demo.arrivals()) == before
