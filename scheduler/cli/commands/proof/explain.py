"""The command that says why a record is as it is."""

from typing import Annotated

import typer

from scheduler.cli.output import AsJson, print_json, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.proof.explain.facts import gather
from scheduler.proof.explain.words import explain as in_words


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(explain)


def explain(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    key: Annotated[
        str, typer.Argument(metavar="ID", help="The record's key, as `headrace records` shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say why a record of the copy is as it is, what is known to be wrong, and what comes next.

    Example: headrace explain plant work_orders 4711
    """
    settings = command_settings()
    with open_database(settings) as database:
        row = find_stream(database, find_connection(database, connection), stream)
        facts = gather(database, settings, row["id"], key)
    sentences = in_words(facts)
    if as_json:
        print_json(
            {"key": key, "found": facts.record is not None, "record": facts.record, "words": sentences}
        )
    else:
        for sentence in sentences:
            say(sentence)
