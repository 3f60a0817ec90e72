"""`headrace discover`: what could be synced through a connection, and what to write for it?"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import AsJson, clean, note, print_json, print_table, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_registry
from scheduler.connections.resolve import find_connection
from worker.errors import InvalidInput

if TYPE_CHECKING:
    from scheduler.connections.trial.discovery import Offered

FEW_FIELDS = 6
ABOUT = "# Below `settings` of the connection {name}, in the connections file. Look at each before you apply it.\n"


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command("discover")(discover)


def discover(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    *,
    stream: Annotated[
        list[str] | None,
        typer.Option(
            help="Print what the connections file needs for this stream; may be given several times."
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            help="Write that to a new file, for all that isn't connected yet where no --stream is given."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a connection's system what could be synced, and show it. Nothing is changed.

    Example: headrace discover warehouse --stream orders
    """
    from scheduler.connections.trial.discovery import (  # noqa: PLC0415 - brings the means to send
        chosen,
        discoverer,
    )
    from scheduler.connections.trial.trial import Candidate, trial_sender  # noqa: PLC0415

    if write is not None and write.exists():
        raise InvalidInput(
            "file_exists", "There is a file already.", place=str(write), hint="Choose another name."
        )
    settings = command_settings()
    with open_database(settings) as database:
        row = find_connection(database, connection)
        asking = discoverer(open_registry(settings), Candidate.of(database, row))
        with trial_sender(database, settings) as sender:
            found = asking.ask(sender, new_request_id())
    if stream or write is not None:
        found = chosen(found, stream or ())
    if as_json:
        print_json(
            {
                "connection": row["name"],
                "system": row["system"],
                "streams": [each.as_json() for each in found],
            }
        )
    elif write is None and not stream:
        _show(found)
    if write is not None:
        write.write_text(snippet(row["name"], found), encoding="utf-8")
        note(f"{len(found)} streams were written to {write}.")
    elif stream and not as_json:
        typer.echo(snippet(row["name"], found), nl=False)


def _show(found: "Iterable[Offered]") -> None:
    listed = list(found)
    rows = [
        (
            each.found.name,
            each.found.title,
            each.connected,
            ", ".join(each.found.key) or None,
            each.found.cursor,
            _few(each.found.fields),
        )
        for each in listed
    ]
    print_table(
        ("stream", "title", "connected", "key", "cursor", "fields"), rows, empty="The system offers nothing."
    )
    for each in listed:
        for remark in each.found.remarks:
            say(f"{each.found.name}: {remark}")


def _few(fields: Iterable[str]) -> str | None:
    listed = list(fields)
    more = f" and {len(listed) - FEW_FIELDS} more" if len(listed) > FEW_FIELDS else ""
    return (", ".join(listed[:FEW_FIELDS]) + more) or None


def snippet(connection: str, found: "Iterable[Offered]") -> str:
    """`describe` with these streams, as YAML, each below what is unsure of it."""
    from scheduler.connections.file.export import to_yaml  # noqa: PLC0415

    parts = [ABOUT.format(name=_line(connection)), "describe:\n  streams:\n"]
    for each in found:
        parts += [f"    # {_line(remark)}\n" for remark in each.found.remarks]
        parts += [
            f"    {line}\n" for line in to_yaml({each.found.name: dict(each.found.describe)}).splitlines()
        ]
    return "".join(parts)


def _line(text: str) -> str:
    """What a system said, as a comment that ends where its line does."""
    return " ".join(clean(text).split())
