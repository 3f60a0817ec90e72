"""Every use of a power at the command line, which needs no token, is in the audit log: what, on what, and who was there."""

import os
import pwd
from pathlib import Path

import pytest
import typer
from servers.installation.commands import Command
from typer.main import get_command

from scheduler.cli.entry import whole_app
from worker.db.database import Database

pytestmark = pytest.mark.integration

FILE = """
version: 1
connections:
  - id: plant
    name: Plant
    system: demo
    settings: {base_url: "http://127.0.0.1:9"}
    secrets: {token: env://NONE}
    tenant: TENANT
"""
READS = {
    "audit", "changes", "connections", "connections show", "connectors", "consumers", "cursors", "doctor", "explain", "export",
    "export-config", "records", "runs", "runs show", "secrets check", "storage", "subscriptions",
    "subscriptions show", "token list", "token show", "views", "systems", "taps",
}  # fmt: skip
PROGRAMS = {"up", "worker", "beat", "serve", "flower", "migrate", "demo serve"}
"""They run Headrace itself."""
AUTHORS = {
    "connector check",
    "connector from-openapi",
    "connector new",
    "connector record",
    "connector try",
    "taps install",
}
"""They change files of whoever calls them, and nothing of the installation's."""
POSITIONS = {"consumers commit", "consumers delete", "subscriptions test", "test", "discover"}
"""How far a reader is, and looks at what another answers."""
TRIED = {"apply", "sync", "resync", "runs cancel", "deletes", "pause", "resume", "subscriptions add", "subscriptions pause",
         "subscriptions resume", "subscriptions replay", "subscriptions remove", "history", "drift", "quarantine", "verify"}  # fmt: skip
TRIED_ELSEWHERE = {
    "connect", "connectors downgrade", "connectors upgrade", "demo remove", "erase", "runs changes", "webhooks", "token create", "token rotate", "token revoke",
}  # fmt: skip


def commands_of(group: typer.core.TyperGroup, before: str = "") -> set[str]:  # type: ignore[name-defined]
    found = set()
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None or getattr(command, "invoke_without_command", False):
            found.add(before + name)
        if inner is not None:
            found |= commands_of(command, f"{before}{name} ")
    return found


def test_no_command_with_a_power_is_forgotten() -> None:
    """A new one is either tried here, or named with those that are tried elsewhere."""
    known = READS | PROGRAMS | AUTHORS | POSITIONS | TRIED | TRIED_ELSEWHERE
    there = commands_of(get_command(whole_app()))  # type: ignore[arg-type]
    assert (there - known, known - there) == (set(), set())


def test_each_is_noted_with_who_was_at_the_machine(
    headrace: Command, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(FILE.replace("TENANT", "acme"))
    assert headrace("apply", str(file)).code == 0
    assert headrace("apply", str(file)).code == 0  # it changes nothing, and is no act
    file.write_text(FILE.replace("TENANT", "brick"))
    hook = ("--secret", "env://S")
    run = {}
    for arguments in (
        ["apply", str(file)],
        ["sync", "Plant", "parts"],
        ["resync", "Plant", "parts", "--ids", "1"],
        ["verify", "Plant", "parts", "--no-wait"],
        ["deletes", "Plant", "parts", "--sweep"],
        ["drift", "Plant", "parts", "--accept"],
        ["quarantine", "Plant", "parts", "--retry"],
        ["pause", "Plant"],
        ["resume", "Plant"],
        ["subscriptions", "add", "s", "https://hooks.example.com/", *hook],
        ["subscriptions", "pause", "s"],
        ["subscriptions", "resume", "s"],
        ["subscriptions", "replay", "s"],
        ["subscriptions", "remove", "s"],
    ):
        said = headrace(*arguments)
        run[" ".join(arguments[:2])] = (said.code, said.out + said.err)
    [queued] = database.all("SELECT id FROM runs WHERE track = 'live' LIMIT 1")
    assert headrace("runs", "cancel", str(queued["id"])).code == 0
    file.write_text("version: 1\nconnections: []\n")
    assert headrace("apply", str(file), "--prune", "--yes").code == 0
    acts = database.all("SELECT actor, action, tenant, detail FROM audit ORDER BY id")
    assert [act["action"] for act in acts] == [
        "connection.create", "connection.change", "sync.request", "sync.request", "sync.request", "sync.request",
        "fields.accept", "sync.request", "connection.pause", "connection.resume", "subscription.create",
        "subscription.pause", "subscription.resume", "subscription.replay", "subscription.delete", "run.cancel",
        "connection.delete",
    ], run  # fmt: skip
    assert {act["actor"] for act in acts} == {"cli"}
    assert {act["detail"]["user"] for act in acts} == {pwd.getpwuid(os.getuid()).pw_name}
    assert [act["detail"].get("changed") for act in acts[:2]] == [None, ["tenant"]]
    assert [act["tenant"] for act in acts[:3]] == ["acme", "brick", "brick"]
