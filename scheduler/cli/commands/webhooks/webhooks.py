"""The command about how well webhooks tell of what changes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, view_of
from scheduler.cli.output import AsJson, ago, note, print_json, print_table
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection
from scheduler.connections.systems import known_systems
from scheduler.connections.view import EVERYTHING
from scheduler.webhooks.numbers import (
    DAYS,
    connection_json,
    miss_ratio,
    nobodys,
    numbers_by_stream,
    numbers_of,
    stream_json,
)
from scheduler.webhooks.refusals import newest_refusals
from scheduler.webhooks.registering.wishes import register_webhooks, unregister_webhooks
from worker.config import Settings
from worker.db.database import Database

REFUSED = 50
"""Shown at once: the newest."""


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(webhooks)


def webhooks(
    connection: Annotated[str | None, typer.Argument(help="The connection's name or number.")] = None,
    *,
    register_it: Annotated[
        bool, typer.Option("--register", help="Have webhooks registered at the system, and kept so.")
    ] = False,
    unregister: Annotated[
        bool, typer.Option("--unregister", help="Have those removed at the system that Headrace registered.")
    ] = False,
    refused: Annotated[
        bool, typer.Option("--refused", help="Show the last ones that were not taken, and why.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=90, help="Count over so many days.")] = DAYS,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """Show how many webhooks came, which changes they told of, and which the poll had to find.

    With --register beat has the system send them, renews that and enables it again. `registered` tells how that goes.
    With --refused it shows what was not taken: without a connection also what came for a name that none of them has.

    Example: headrace webhooks plant --days 2
    """
    asked, narrowed = register_it or unregister, bool(tenant or label or environment)
    if asked and (connection is None or (register_it and unregister) or refused):
        raise typer.BadParameter(
            "--register and --unregister go with a connection, one at a time, and without --refused."
        )
    if refused and narrowed:
        raise typer.BadParameter("--refused goes with a connection, or alone.")
    view, settings = view_of(tenant, label, environment), command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection, view) if connection else None
        if found and asked:
            _ask(database, settings, found, wanted=register_it)
        if refused:
            _show_refused(newest_refusals(database, found["id"] if found else None, REFUSED), as_json=as_json)
            return
        rows = numbers_of(
            database,
            connection_id=found["id"] if found else None,
            days=days,
            view=EVERYTHING if found else view,
        )
        streams = numbers_by_stream(database, found["id"], days=days) if found else []
        strays = 0 if found or narrowed else nobodys(database, days=days)
    if as_json:
        if found:
            print_json({**connection_json(rows[0]), "streams": [stream_json(row) for row in streams]})
        else:
            print_json([connection_json(row) for row in rows])
        return
    now = datetime.now(UTC)
    print_table(
        [
            "connection", "received", "repeated", "refused", "told", "missed", "", "unheard", "pending", "last",
            "registered",
        ],
        (
            [
                row["connection"], row["received"], row["repeated"], row["refused"], *_changes(row),
                ago(row["last_at"], now) if row["last_at"] else "never", row["registration"] or "",
            ]
            for row in rows
        ),
        empty="No webhook has come in these days. docs/webhooks.md tells how to have them sent.",
    )  # fmt: skip
    if strays:
        note(
            f"{strays:,} came for a name that no connection has: `headrace webhooks --refused` shows the last."
        )
    if found:
        print_table(
            ["stream", "received", "repeated", "told", "missed", "", "unheard", "pending", "poll"],
            (
                [row["stream"], row["received"], row["repeated"], *_changes(row), _poll(row)]
                for row in streams
            ),
            empty="The connection has no streams.",
        )


def _show_refused(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    now = datetime.now(UTC)
    print_table(
        ["when", "sent to", "connection", "reason", "from", "words"],
        (
            [
                ago(row["at"], now), row["name"], row["connection"] or "nobody's", row["reason"], row["source"] or "",
                row["words"],
            ]
            for row in rows
        ),
        empty="No webhook was refused in these days.",
    )  # fmt: skip


def _ask(database: Database, settings: Settings, found: Mapping[str, Any], *, wanted: bool) -> None:
    if wanted:
        url = register_webhooks(
            database, known_systems(), found["id"], public_url=settings.public_url, actor=COMMAND_LINE
        )
        note(f"{found['system']} is asked within seconds to send webhooks to {url}.")
    else:
        unregister_webhooks(database, found["id"], actor=COMMAND_LINE)
        note(f"{found['system']} is asked within seconds to send none any more.")


def _changes(row: Mapping[str, Any]) -> list[Any]:
    share = miss_ratio(row)
    share_shown = "" if share is None else f"{share:.1%}"
    return [row["told"], row["missed"], share_shown, row["unheard"], row["pending"]]


def _poll(row: Mapping[str, Any]) -> str:
    if row["poll"] != "adaptive":
        return "by its schedule"
    return "adaptive" if row["stretch"] == 1 else f"adaptive, {row['stretch']:.1f} times its interval"
