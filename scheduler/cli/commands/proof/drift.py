"""The command about fields that appear, vanish or change their type."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, view_of
from scheduler.cli.output import AsJson, ago, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.proof.drift import accept, drifted, fields_of, what_happened
from worker.engine.watching.drift import shown


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(drift)


def drift(
    connection: Annotated[str | None, typer.Argument(help="The connection's name or number.")] = None,
    stream: Annotated[str | None, typer.Argument(help="The stream's name.")] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every field of the stream, changed or not.")
    ] = False,
    accepted: Annotated[
        bool, typer.Option("--accept", help="Take note: what changed is known from now on.")
    ] = False,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """Show fields that appeared, vanished or changed their type at a system.

    Example: headrace drift plant work_orders --accept
    """
    if (everything or accepted) and stream is None:
        raise typer.BadParameter("--all and --accept need a connection and a stream.")
    view = view_of(tenant, label, environment)
    with open_database(command_settings()) as database:
        found = find_connection(database, connection, view) if connection else None
        of = find_stream(database, found, stream) if found and stream else None
        if accepted and found and of:
            count = accept(database, found, of)
            if as_json:
                print_json({"accepted": count})
            else:
                say(f"{count:,} fields of {stream} are known from now on." if count else "There was no news.")
            return
        rows = (
            fields_of(database, of["id"])
            if everything and of
            else drifted(
                database,
                connection_id=found["id"] if found else None,
                stream_id=of["id"] if of else None,
                view=view,
            )
        )
    if not everything:
        rows.sort(key=lambda row: (row["connection"], row["stream"], -row["changed_at"].timestamp()))
    if as_json:
        print_json([{**row, "field": shown(row["path"])} for row in rows])
        return
    now = datetime.now(UTC)
    print_table(
        ["connection", "stream", "field", "state", "what", "since"],
        (
            [
                row.get("connection") or connection, row.get("stream") or stream, shown(row["path"]), row["state"],
                what_happened(row), ago(row["changed_at"], now),
            ]
            for row in rows
        ),
        empty="No field appeared, vanished or changed its type.",
    )  # fmt: skip
