"""The command that shows who used which power."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from scheduler.access.acts import list_acts
from scheduler.cli.filters import WithLabel, view_of
from scheduler.cli.output import AsJson, print_json, print_table
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.few import shown
from scheduler.connections.resolve import find_connection
from scheduler.keeping.moment import parse_moment


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(audit)


def audit(
    *,
    connection: Annotated[str, typer.Option(help="Only what was done on this connection.")] = "",
    action: Annotated[
        str, typer.Option(help="Only this, or what begins so: token. or connection.pause.")
    ] = "",
    actor: Annotated[str, typer.Option(help="Only what this one did: a token's owner, or cli.")] = "",
    tenant: Annotated[str, typer.Option(help="Only what was about this customer.")] = "",
    label: WithLabel = None,
    since: Annotated[
        str, typer.Option(help="Only of the last 2h, 7d, …, or since a time: 2026-11-01T14:00Z.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show who used which power, on what and from where: the newest first.

    Example: headrace audit --action token. --since 30d
    """
    begin = parse_moment(since, datetime.now(UTC)) if since else None
    with open_database(command_settings()) as database:
        named = find_connection(database, connection) if connection else None
        rows = list_acts(
            database,
            None,
            limit=limit,
            connection=None if named is None else named["id"],
            action=action or None,
            actor=actor or None,
            tenant=tenant or None,
            of=shown(database, view_of(None, label, None)) if label else None,
            since=begin,
        )
    if as_json:
        print_json(rows)
        return
    print_table(
        ["at", "actor", "action", "on", "env", "from", "request", "detail"],
        (
            [
                row["at"], row["actor"], row["action"], row["target"], row["environment"], row["source"],
                row["request_id"], json.dumps(row["detail"], ensure_ascii=False) if row["detail"] else "",
            ]
            for row in rows
        ),
        empty="Nothing yet.",
    )  # fmt: skip
