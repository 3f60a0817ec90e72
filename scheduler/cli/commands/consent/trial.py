"""`headrace test`: does a connection work, and what may be read through it?"""

from typing import Annotated

import typer

from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, clean, print_json, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_registry
from scheduler.connections.resolve import find_connection


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command("test")(try_out)


def try_out(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    as_json: AsJson = False,
) -> None:
    """Open a connection's secrets here, ask its system for a little of each stream, and say what was found. Nothing is stored.

    Example: headrace test plant
    """
    from scheduler.connections.trial.trial import (  # noqa: PLC0415 - brings the means to send
        Candidate,
        trial_sender,
        try_connection,
    )

    settings = command_settings()
    with open_database(settings) as database:
        row = find_connection(database, connection)
        with trial_sender(database, settings) as sender:
            report = try_connection(
                sender,
                open_registry(settings),
                Candidate.of(database, row),
                request_id=new_request_id(),
            )
    if as_json:
        print_json({"connection": row["name"], "summary": report.summary(), **report.as_json()})
    else:
        for finding in report.findings:
            say(clean(finding.line()))
        say(report.summary())
    if not report.fine:
        raise typer.Exit(Exit.FAILED)
