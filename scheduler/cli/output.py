"""How is something shown: as a table for people, or as JSON for programs?

JSON goes to stdout whole and alone, times as UTC ISO 8601, durations as seconds. What systems sent us is cleaned of
control characters before it reaches a terminal: nobody's record may move the cursor or recolour the screen.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.parsing.durations import format_duration

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_STYLES = {
    "succeeded": "green",
    "ok": "green",
    "running": "cyan",
    "queued": "cyan",
    "partial": "yellow",
    "warn": "yellow",
    "suspicious_empty": "yellow",
    "paused": "yellow",
    "cancelled": "dim",
    "merged": "dim",
    "failed": "red",
    "fail": "red",
}


def console() -> Console:
    """Standard output, as wide as the terminal; where nobody looks, wide enough that nothing is cut."""
    plain = not sys.stdout.isatty()
    return Console(file=sys.stdout, highlight=False, soft_wrap=False, width=200 if plain else None)


def print_json(value: Any) -> None:
    """One JSON value, for programs."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def say(text: str) -> None:
    """A sentence for people."""
    console().print(Text(clean(text)))


def note(text: str) -> None:
    """A sentence beside the output: it goes to stderr, so that what is piped on stays clean."""
    sys.stderr.write(clean(text) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table; `empty` is said where there is no row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    if table.row_count == 0:
        say(empty)
    else:
        console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """What is known of one thing, a line each; what is unknown is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None and value != "":
            table.add_row(name, cell(value))
    console().print(table)


def cell(value: Any) -> Text:
    """A value as text that can't be read as markup."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, Text):
        return value
    if isinstance(value, datetime):
        return Text(f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}")
    text = clean(str(value))
    return Text(text, style=_STYLES.get(text, ""))


def clean(text: str) -> str:
    """The text without characters that command a terminal."""
    return text.translate(_CONTROL)


def ago(then: datetime | None, now: datetime) -> str | None:
    """`3m12s ago`, `in 40s`; None stays None."""
    if then is None:
        return None
    seconds = (now - then).total_seconds()
    short = _coarse(abs(seconds))
    return f"{short} ago" if seconds >= 0 else f"in {short}"


def _coarse(seconds: float) -> str:
    """Two units are enough: nobody needs the seconds of a day."""
    for size in (86400, 3600, 60):
        if seconds >= size * 2:
            unit = {86400: 3600, 3600: 60, 60: 1}[size]
            return format_duration(seconds // unit * unit)
    return format_duration(seconds)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)
