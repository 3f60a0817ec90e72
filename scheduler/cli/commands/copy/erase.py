"""The command that removes a record for good, and keeps it from coming back."""

import sys
from typing import Annotated, Any

import typer

from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, note, print_json, say
from scheduler.cli.session import command_settings, open_database, open_publisher
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.keeping.erasure.erase import Erased, allow_again, erase_record


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(erase)


def erase(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    record: Annotated[
        str | None, typer.Argument(help="The record's key, as `headrace records` shows it.")
    ] = None,
    *,
    reason: Annotated[
        str | None, typer.Option(help="Kept with the erasure; say nothing of the person in it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    allow: Annotated[bool, typer.Option("--allow", help="Let a record that was erased come back.")] = False,
    allow_all: Annotated[
        bool, typer.Option("--allow-all", help="Let all that were erased from the stream come back.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a record from every table, and keep it from coming back at the next sync.

    Readers of the change feed are told that it is gone, and nothing of what it was. It stays at its system: erase it there,
    too. A privacy key is needed (docs/privacy.md).

    Example: headrace erase plant employees 4711 --reason "request 2026-17"
    """
    if allow_all == (record is not None):
        raise typer.BadParameter("Give the key of one record, or --allow-all.")
    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection)
        row = find_stream(database, found, stream)
        where = f"{found['name']} / {row['name']}"
        if allow or record is None:
            count = allow_again(database, settings, row, record)
            _say_allowed(count, as_json=as_json)
            return
        if not yes:
            _confirm(f"{where}: {record}")
        from worker.runs.wakeups.publish import send_for  # noqa: PLC0415 - brings Celery

        open_publisher(settings)
        erased = erase_record(database, settings, row, record, reason)
        send_for(database, erased.wakeups)
    if as_json:
        print_json({"erased": erased.was_there, "removed": dict(erased.removed)})
    else:
        _say_erased(where, erased)


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        note(
            "Error: this erases a record, and nobody is there to be asked. Give --yes to do it all the same."
        )
        raise typer.Exit(Exit.USAGE)
    if not typer.confirm(f"Erase {what} for good?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(Exit.FAILED)


def _say_erased(where: str, erased: Erased) -> None:
    if erased.was_there:
        say(f"The record is erased from {where}. Readers of the feed see a delete without content.")
    else:
        say(f"The copy of {where} holds no such record; should one come, it is turned away.")
    others = {place: count for place, count in erased.removed.items() if count and place != "record"}
    if others:
        listed = ", ".join(f"{place.replace('_', ' ')} ({count})" for place, count in others.items())
        say(f"Traces of it were removed from: {listed}.")
    say("It stays at its system, and in your backups: docs/privacy.md.")


def _say_allowed(count: int, *, as_json: bool) -> None:
    result: dict[str, Any] = {"allowed": count}
    if as_json:
        print_json(result)
    else:
        say(f"{count} may come back, at the next sync that reads {'it' if count == 1 else 'them'}.")
