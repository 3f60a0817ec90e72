"""The command that shows how far histories are, and stops them or lets them go on."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from scheduler.cli.output import AsJson, ago, print_json, print_table, say
from scheduler.cli.session import (
    command_settings,
    new_request_id,
    open_database,
    open_publisher,
    open_registry,
)
from scheduler.connections.options.schedule import format_history
from scheduler.connections.resolve import find_connection
from worker.errors import InvalidInput
from worker.parsing.durations import format_duration

if TYPE_CHECKING:
    from scheduler.runs.history import History

LOOK_EVERY = 1.0
RESTING = frozenset({"done", "paused", "failed", "off"})
"""Nothing happens to these by itself within a while."""

_never = threading.Event()


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(history)


def history(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str | None, typer.Argument(help="One stream; else all.")] = None,
    *,
    pause: Annotated[bool, typer.Option("--pause", help="Stop at the next page and keep the place.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on now, also after a failure or a cancelled run.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show a bar for each stream until all rest.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far the history of each stream is, and how long the rest will take.

    Example: headrace history plant work_orders --pause
    """
    from scheduler.runs.history import histories, pause_histories, resume_histories  # noqa: PLC0415 - brings Celery
    from scheduler.runs.waits import allowances  # noqa: PLC0415

    if pause and resume:
        raise InvalidInput("bad_option", "--pause and --resume can't both be meant.", place="--pause")
    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection)
        if pause:
            _say_done(pause_histories(database, found, stream), "Paused", as_json=as_json)
            return
        if resume:
            open_publisher(settings)
            names = resume_histories(database, found, stream, cause="cli", request_id=new_request_id())
            _say_done(names, "Going on", as_json=as_json)
            return
        with allowances(database, settings, open_registry(settings), found) as wait:
            rows = _watched(lambda: histories(database, found, wait, stream), watch=watch)
    if as_json:
        print_json({"connection": found["name"], "histories": [row.as_json() for row in rows]})
    else:
        _print(rows)


def _say_done(names: Sequence[str], word: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"streams": list(names)})
    elif names:
        say(f"{word}: {', '.join(names)}.")
    else:
        say("No history is owed: all that was asked for is in the copy.")


def _watched(look: "Callable[[], list[History]]", *, watch: bool) -> "list[History]":
    """How far they are; with `watch`, once all have come to rest. The bars go to stderr, the result to stdout."""
    rows = look()
    if not watch:
        return rows
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}
    with bars:
        while True:
            for row in rows:
                if row.stream not in tasks:
                    tasks[row.stream] = bars.add_task(row.stream, total=None, words="")
                share = row.progress.share
                total, done = (None, 0) if share is None else (1.0, share)
                bars.update(tasks[row.stream], total=total, completed=done, words=in_words(row))
            if all(row.state in RESTING for row in rows):
                return rows
            _never.wait(LOOK_EVERY)
            rows = look()


def in_words(row: "History") -> str:
    """What it is up to, and what is left: `running, 12,000 records, about 30,000 left in 60 requests, 2m`."""
    words = [row.state, f"{row.progress.records:,} records"]
    left = row.progress.left
    if row.state != "done" and left.records is not None:
        words.append(
            f"about {left.records:,} left" + (f" in {left.requests:,} requests" if left.requests else "")
        )
        if left.seconds:
            words.append(format_duration(max(1.0, left.seconds)))
    return ", ".join(words)


def _print(rows: "Sequence[History]") -> None:
    now = datetime.now(UTC)
    print_table(
        ["stream", "history", "state", "slices", "records", "back to", "left", "requests", "time", "error"],
        (
            [
                row.stream,
                format_history(row.days),
                row.state + (f", again {ago(row.next_at, now)}" if row.next_at else ""),
                _slices(row),
                row.progress.records,
                None if row.progress.read_back_to is None else f"{row.progress.read_back_to:%Y-%m-%d}",
                *_left(row),
                row.error or "",
            ]
            for row in rows
        ),
        empty="No streams.",
    )


def _slices(row: "History") -> str:
    found = row.progress
    if found.slices is None:
        return f"{found.slices_done} of ?"
    return f"{found.slices_done} of {'about ' if found.slices_done < found.slices else ''}{found.slices}"


def _left(row: "History") -> list[object]:
    """What is still to be read; unknown where nothing was read and the system hasn't said."""
    left = row.progress.left
    if row.state == "done":
        return ["", "", ""]
    time = None if left.seconds is None else format_duration(max(1.0, left.seconds))
    return [left.records, left.requests, time]
