"""What there is at a real system is found through a connection as its runs go: with its secret, under its budget."""

from pathlib import Path

import msgspec
import pytest
import yaml
from servers.installation.commands import Command
from servers.systems.bench import Bench

from worker.connectors.contract import Discovery, Found, Request
from worker.connectors.protocols.rest import RestSource

pytestmark = pytest.mark.integration


def looks_at_sites(source: RestSource) -> Discovery:
    """Asks for one site, and calls its fields those of a kind of record."""
    response = yield Request("GET", f"{source.base_url}/api/v1/sites", [("limit", "1")])
    fields = tuple(msgspec.json.decode(response.body)["data"][0])
    own = {"path": "/api/v1/sites", "records": "data", "key": "id"}
    return [Found("sites", "Sites", own, ("id",), "updated_at", fields, ("It has no owner.",))]


def test_the_command_shows_it_and_writes_what_a_connections_file_needs(
    bench: Bench, headrace: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(RestSource, "discover", looks_at_sites)
    before = len(bench.demo.arrivals())
    shown = headrace("discover", "d")
    assert shown.code == 0, shown.err
    assert "sites: It has no owner." in shown.out
    assert len(bench.demo.arrivals()) - before == 1
    [found] = headrace("discover", "d", "--json").json["streams"]
    assert (found["name"], found["key"], found["connected"]) == ("sites", ["id"], True)
    assert "updated_at" in found["fields"]
    file = tmp_path / "found.yaml"
    assert headrace("discover", "d", "--stream", "sites", "--write", str(file)).code == 0
    assert yaml.safe_load(file.read_text()) == {"describe": {"streams": {"sites": found["describe"]}}}
    assert headrace("discover", "d", "--write", str(file)).code == 2


def test_the_command_says_why_there_is_nothing_to_show(bench: Bench, headrace: Command) -> None:
    done = headrace("discover", "d")
    assert done.code == 2
    assert "can't be asked what there is" in done.err
    assert bench.demo.arrivals() == []
