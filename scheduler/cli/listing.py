"""How are commands listed by `--help`? With their first sentence whole, and those of `headrace` by what they are for."""

from collections.abc import Iterable
from typing import Any

from typer.core import TyperGroup

SECTIONS: dict[str, dict[str, str]] = {
    "Start": {
        "up": "start",
        "worker": "start",
        "beat": "start",
        "serve": "start",
        "flower": "start",
        "migrate": "start",
        "demo": "demo",
        "doctor": "doctor",
    },
    "Connections": {
        "apply": "files",
        "export-config": "files",
        "connections": "connections",
        "connect": "consent.connect",
        "test": "consent.trial",
        "discover": "consent.discovering",
        "pause": "pausing",
        "resume": "pausing",
    },
    "Systems": {
        "systems": "systems.systems",
        "connectors": "systems.connectors",
        "taps": "systems.taps",
        "connector": "connector.group",
    },
    "Runs": {
        "sync": "runs.group",
        "runs": "runs.group",
        "history": "runs.history",
        "resync": "runs.resync",
        "cursors": "runs.cursors",
    },
    "The copy": {
        "records": "copy.records",
        "views": "copy.views",
        "export": "copy.export",
        "storage": "copy.storage",
        "erase": "copy.erase",
    },
    "Changes": {
        "changes": "feed.changes",
        "consumers": "feed.changes",
        "subscriptions": "feed.subscriptions",
        "webhooks": "webhooks.webhooks",
    },
    "Access": {"token": "access.tokens", "audit": "access.audit", "secrets": "access.secrets"},
    "Proof": {
        "verify": "proof.verify",
        "explain": "proof.explain",
        "deletes": "proof.deletes",
        "quarantine": "proof.quarantine",
        "drift": "proof.drift",
    },
}
"""The commands of each section, and the module in `scheduler.cli.commands` that registers each."""


class Sentences(TyperGroup):
    """A command with commands: each with the first sentence of its help, wrapped and not cut."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self._write("Commands", self.list_commands(ctx), formatter)

    def _write(self, title: str, names: Iterable[str], formatter: Any) -> None:
        rows = [(name, first_sentence(self.commands[name].help or "")) for name in names]
        with formatter.section(title):
            formatter.write_dl(rows, col_max=20)


class Sections(Sentences):
    """The root, whose commands are too many for one list."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        for title, names in SECTIONS.items():
            self._write(title, names, formatter)


def first_sentence(text: str) -> str:
    """Of a help text. A full stop within a name or before a digit ends none."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    end = paragraph.find(". ")
    return paragraph if end < 0 else paragraph[: end + 1]
