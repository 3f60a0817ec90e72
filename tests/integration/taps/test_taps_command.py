"""`headrace taps`: what may run here, and what is there. Nothing is installed by these tests."""

import json
from pathlib import Path

import pytest
from servers.installation.commands import Command

from worker.taps.allowed import Allowed
from worker.taps.environments import folder_of

pytestmark = pytest.mark.integration

PINNED = "tap-own==1.2.0"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one of the taps is installed."""
    home = tmp_path / "home"
    folder = folder_of(Allowed(PINNED), home)
    folder.mkdir(parents=True)
    (folder / "ready.json").write_text(json.dumps({"version": "1.2.0", "scripts": ["tap-own"]}))
    return home


def test_taps_that_may_run_are_shown_with_what_is_there(
    headrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HEADRACE_TAPS" in headrace("taps").out
    monkeypatch.setenv("HEADRACE_TAPS", f"{PINNED} tap-loose>=1 /opt/taps/")
    rows = headrace("taps", "--json").json["taps"]
    assert [(row["tap"], row["version"]) for row in rows] == [
        (PINNED, "1.2.0"), ("tap-loose>=1", None), ("/opt/taps/", None),
    ]  # fmt: skip
    assert "name its version" in rows[1]["here"]


def test_the_tap_of_a_connection_is_installed_where_it_is_allowed(
    headrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "connections.yaml"
    stream = {"orders": {"tap": {"stream": "orders"}, "key": "id"}}
    connection = {
        "id": "plant",
        "system": "singer",
        "settings": {"tap": "tap-own", "describe": {"streams": stream}},
    }
    file.write_text(json.dumps({"version": 1, "connections": [connection]}))
    applied = headrace("apply", str(file))
    assert applied.code == 0, applied.err
    refused = headrace("taps", "install", "plant")
    assert refused.code != 0
    assert "HEADRACE_TAPS" in refused.err
    monkeypatch.setenv("HEADRACE_TAPS", PINNED)
    assert "tap-own 1.2.0" in headrace("taps", "install", "plant").out
