"""How are commands listed by `--help`? With their first sentence whole, and those of `headrace` by what they are for."""

from collections.abc import Iterable
from typing import Any

from typer.core import TyperGroup

SECTIONS: dict[str, tuple[str, ...]] = {
    "Start": ("up", "worker", "beat", "serve", "flower", "migrate", "demo", "doctor"),
    "Connections": (
        "apply",
        "export-config",
        "connections",
        "connect",
        "test",
        "discover",
        "pause",
        "resume",
    ),
    "Systems": ("systems", "connectors", "taps", "connector"),
    "Runs": ("sync", "runs", "history", "resync", "cursors"),
    "The copy": ("records", "views", "export", "storage", "erase"),
    "Changes": ("changes", "consumers", "subscriptions", "webhooks"),
    "Access": ("token", "audit", "secrets"),
    "Proof": ("verify", "explain", "deletes", "quarantine", "drift"),
}


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
