"""What does a person see while everything runs?

One table that says what runs where, how to log in and what to try; then live progress on a terminal, or a plain line
when something has changed where nobody watches.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scheduler.cli.output import clean
from scheduler.embedded.supervisor.parts import Part, PartState, State

SAY_EVERY = 2.0
"""Seconds between two plain lines of progress."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the table."""

    what: str
    where: str
    login: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the copy is."""

    connection: str
    streams: int
    synced: int
    records: int
    error: str | None = None

    @property
    def done(self) -> bool:
        return 0 < self.streams == self.synced

    def words(self) -> str:
        """`demo-plant: 3 of 7 streams synced, 2,050 records`"""
        how_far = (
            f"synced, all {self.streams} streams"
            if self.done
            else f"{self.synced} of {self.streams} streams synced"
        )
        return f"{self.connection}: {how_far}, {self.records:,} records{f' ({clean(self.error)})' if self.error else ''}"


class Screen:
    """Use as a context manager around the time in which everything runs."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 140)
        self._live: Live | None = None
        self._changes: SimpleQueue[PartState] = SimpleQueue()
        self._said = ""
        self._said_at = 0.0

    def step(self, text: str) -> None:
        """A step of starting."""
        self._console.print(Text(text, style="dim"))

    def part_changed(self, _part: Part, state: PartState) -> None:
        """Called by the supervisor's thread."""
        self._changes.put(state)

    def show_places(self, places: Sequence[Place], hints: Sequence[tuple[str, str]]) -> None:
        """The one clear table."""
        self._console.print(_table(("what", "where", "log in"), ((p.what, p.where, p.login) for p in places)))
        self._console.print(Text("\nTry next:", style="bold"))
        self._console.print(_table((), hints))
        self._console.print(Text("\nCtrl-C stops everything.\n"))
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def update(self, states: Sequence[PartState], progress: Progress | None, overview: str) -> None:
        """What is going on now. The overview changes all the time, so it is for a terminal only."""
        self._say_changes()
        words = progress.words() if progress else ""
        if self._live is not None:
            self._live.update(Group(_states(states), Text(f"\n{words}\n{overview}")), refresh=True)
        elif progress and words != self._said and self._may_say(progress):
            self._said, self._said_at = words, time.monotonic()
            self._console.print(Text(words))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _may_say(self, progress: Progress) -> bool:
        """Progress now and then; that it is done, at once; how the copy lives on afterwards, not at all."""
        if progress.done:
            return ": synced" not in self._said
        return time.monotonic() - self._said_at >= SAY_EVERY

    def _say_changes(self) -> None:
        while True:
            try:
                state = self._changes.get_nowait()
            except Empty:
                return
            if state.state is State.RESTARTING:
                code = "" if state.last_exit is None else f" (exit code {state.last_exit})"
                self._print(
                    f"{state.name} ended{code} and is started again; its log is {state.log}", "yellow"
                )
            elif state.state is State.RUNNING and state.restarts:
                self._print(f"{state.name} runs again", "green")

    def _print(self, text: str, style: str) -> None:
        (self._live.console if self._live else self._console).print(Text(text, style=style))


def headrace_words() -> str:
    """How the command is called from this shell."""
    ours = Path(sys.executable).with_name("headrace")
    found = shutil.which("headrace")
    if found is not None and Path(found).resolve() == ours.resolve():
        return "headrace"
    shown = os.path.relpath(ours)
    return str(ours) if shown.startswith("..") else shown


def _states(states: Sequence[PartState]) -> Table:
    styles = {State.RUNNING: "green", State.RESTARTING: "yellow", State.FAILED: "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for state in states:
        again = f"started again {state.restarts} times" if state.restarts else ""
        table.add_row(
            Text(state.name),
            Text(state.state, style=styles.get(state.state, "dim")),
            Text(str(state.pid or ""), style="dim"),
            Text(again, style="yellow"),
        )
    return table


def _table(columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=bool(columns), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
