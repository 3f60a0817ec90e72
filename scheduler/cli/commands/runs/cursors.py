"""The command about cursors: how far streams are read, how late their news comes, what makes a cursor doubtful."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from scheduler.cli.output import AsJson, ago, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database, open_registry
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.runs.cursors import CursorState, cursors_of, skew_in_words
from worker.engine.planning.lateness import KEPT_DAYS, edge_of

BAR = 40


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(cursors)


def cursors(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str | None, typer.Argument(help="One stream, in full.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how far streams are read, how late their news comes, and whether their cursors can be trusted.

    Example: headrace cursors plant work_orders
    """
    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection)
        if stream is not None:
            find_stream(database, found, stream)
        states = cursors_of(database, open_registry(settings), found, stream)
    if as_json:
        print_json({"connection": found["name"], "cursors": [state.as_json() for state in states]})
    elif stream is not None and states:
        _print_one(states[0])
    else:
        _print_all(states)


def _print_all(states: list[CursorState]) -> None:
    now = datetime.now(UTC)
    print_table(
        ["stream", "cursor", "watermark", "moved", "look-back", "came late", "warnings"],
        (
            [
                state.row["stream"], state.kind, state.watermark(), ago(state.row["moved_at"], now),
                state.distance(state.look_back), state.came_late, len(state.warnings()) or None,
            ]
            for state in states
        ),
        empty="No stream is switched on.",
    )  # fmt: skip
    for state in states:
        for words in state.warnings():
            say(f"{state.row['stream']}: {words}")


def _print_one(state: CursorState) -> None:
    now, told = datetime.now(UTC), state.as_json()
    print_facts(
        {
            "stream": state.row["stream"],
            "cursor": state.kind,
            "watermark": state.watermark(),
            "moved": ago(state.row["moved_at"], now),
            "overlap": state.distance(told["overlap"]) if state.look_back is not None else None,
            "look-back": state.distance(state.look_back),
            "may be": f"{state.distance(told['least'])} to {state.distance(told['most'])}"
            if told["most"]
            else None,
            "system's clock": skew_in_words(state.row["clock_skew"]),
            "without cursor": told["without_cursor"] or None,
            f"came late in {KEPT_DAYS} days": state.came_late,
            "half of them by": state.distance(told["p50"]),
            "all but one in 1,000 by": state.distance(told["p999"]),
        }
    )
    if state.late:
        most = max(late.records for late in state.late)
        print_table(
            ["late by up to", "records", ""],
            (
                [
                    state.distance(edge_of(late.grade)),
                    late.records,
                    "█" * max(1, round(BAR * late.records / most)),
                ]
                for late in state.late
            ),
            empty="",
        )
    for words in state.warnings():
        say(words)
