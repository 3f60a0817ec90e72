"""What a newcomer does: everything started, an ERP connected by a file, its records asked for by command."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from servers.installation.up import Up
from servers.systems.tryton.server import TrytonServer
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FILE = """\
version: 1
connections:
  - id: erp
    name: ERP
    system: tryton
    settings: {{base_url: "{base_url}", database: {database}, username: {username}}}
    secrets: {{password: "env://ERP_PASSWORD"}}
    schedule: {{every: 1m}}
    history: all
"""
INTERVAL = 60.0
SPARE = 15.0
"""For what a run takes, and for the command that looks."""


def records(up: Up, stream: str) -> dict[str, Any]:
    said = up.command("records", "ERP", stream, "--jsonl", "--all")
    assert said.returncode == 0, said.stderr
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    return {row["key"]: row["record"] for row in rows}


def synced(up: Up) -> bool:
    """Whether all of the history is there, and what came since."""
    streams = json.loads(up.command("connections", "show", "ERP", "--json").stdout)["streams"]
    return all(stream["history_done_at"] and stream["last_success_at"] for stream in streams)


@pytest.mark.timeout(300)
def test_an_erp_is_in_sync_within_its_first_interval_and_its_changes_come_with_the_next(
    tryton: TrytonServer, tmp_path: Path
) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(FILE.format(base_url=tryton.base_url, database=tryton.database, username=tryton.username))
    up = Up(tmp_path / "home", tmp_path, "--no-demo", ERP_PASSWORD=tryton.password)
    try:
        wait_until(lambda: up.says("Ctrl-C stops everything"), 60, what="the start")
        applied = up.command("apply", str(file))
        assert applied.returncode == 0, applied.stderr
        begun = time.monotonic()
        wait_until(lambda: synced(up), INTERVAL, what="the first sync")
        assert time.monotonic() - begun < INTERVAL

        parties = records(up, "parties")
        names = {str(row["id"]): row["name"] for row in tryton.erp.rows("party.party", [], ["name"])}
        assert {key: record["name"] for key, record in parties.items()} == names

        key = next(iter(names))
        tryton.erp.edit("party.party", [int(key)], {"name": "Renamed in the ERP"})
        wait_until(
            lambda: records(up, "parties")[key]["name"] == "Renamed in the ERP",
            INTERVAL + SPARE,
            what="the change of the ERP in the copy",
        )
        doctor = up.command("doctor", "--json")
        assert doctor.returncode == 0, doctor.stdout
    finally:
        up.stop()
    assert up.process.returncode == 0, up.text
