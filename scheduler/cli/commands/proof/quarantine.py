"""The command about records that could not be taken."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, view_of
from scheduler.cli.output import AsJson, ago, note, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_publisher
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.connections.view import View
from scheduler.proof.quarantine import discard, find_quarantined, list_quarantined, request_retry, summary
from scheduler.runs.lists import SHORT_ID
from worker.db.database import Database

LIMIT = 50
SHOWN_ID = 12


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(quarantine)


def quarantine(
    connection: Annotated[str | None, typer.Argument(help="The connection's name or number.")] = None,
    stream: Annotated[str | None, typer.Argument(help="The stream's name.")] = None,
    *,
    show: Annotated[
        str | None, typer.Option("--show", metavar="ID", help="Show one whole, its bytes too.")
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Read them again, with the manifest of today.")
    ] = False,
    drop: Annotated[bool, typer.Option("--discard", help="Forget them: they are not wanted.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="With --retry or --discard: only these.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many of a stream.")] = LIMIT,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """Show records that could not be taken, and why; try them again, or forget them.

    Example: headrace quarantine plant work_orders --retry
    """
    if retry and drop:
        raise typer.BadParameter("Choose one of --retry and --discard.")
    if (retry or drop) and stream is None:
        raise typer.BadParameter("--retry and --discard need a connection and a stream.")
    if only and not (retry or drop):
        raise typer.BadParameter("--only goes with --retry or --discard.")
    view = view_of(tenant, label, environment)
    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection, view) if connection else None
        of = find_stream(database, found, stream) if found and stream else None
        if show is not None:
            _show(database, show, found, of, as_json=as_json)
        elif found is None or of is None:
            _summary(database, found, view, as_json=as_json)
        elif retry:
            open_publisher(settings)
            ids = _ids(database, only, of)
            run = request_retry(
                database, found, of, cause="cli", request_id=new_request_id(), ids=ids, actor=COMMAND_LINE
            )
            if as_json:
                print_json({"run": run.id, "joined": not run.created})
            else:
                say(f"They are read again by run {run.id}; `headrace runs show {run.id}` says how it went.")
        elif drop:
            gone = discard(database, found, of, _ids(database, only, of))
            if as_json:
                print_json({"discarded": gone})
            else:
                say(f"{gone:,} forgotten. What the system sends again is set aside again.")
        else:
            _list(database, of, limit, as_json=as_json)


def _ids(database: Database, only: list[str] | None, stream: dict[str, Any]) -> list[UUID] | None:
    if not only:
        return None
    return [find_quarantined(database, text, stream_id=stream["id"])["id"] for text in only]


def _summary(database: Database, connection: dict[str, Any] | None, view: View, *, as_json: bool) -> None:
    rows = summary(database, connection["id"] if connection else None, view)
    rows.sort(key=lambda row: (row["connection"], row["stream"], -row["records"]))
    if as_json:
        print_json(rows)
        return
    now = datetime.now(UTC)
    print_table(
        ["connection", "stream", "reason", "records", "first seen", "last seen"],
        (
            [
                row["connection"], row["stream"], row["code"], row["records"], ago(row["first_seen_at"], now),
                ago(row["last_seen_at"], now),
            ]
            for row in rows
        ),
        empty="Nothing is set aside.",
    )  # fmt: skip


def _list(database: Database, stream: dict[str, Any], limit: int, *, as_json: bool) -> None:
    rows = list_quarantined(database, stream, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    if as_json:
        print_json(rows)
        return
    now = datetime.now(UTC)
    print_table(
        ["id", "key", "code", "reason", "run", "page", "times", "last seen", "tried again"],
        (
            [
                str(row["id"])[:SHOWN_ID], row["key"], row["code"], row["reason"], str(row["run_id"])[:SHORT_ID],
                row["page"], row["seen"], ago(row["last_seen_at"], now), ago(row["retried_at"], now),
            ]
            for row in rows
        ),
        empty="Nothing of this stream is set aside.",
    )  # fmt: skip
    if more:
        note(f"These are the latest {limit:,}; --limit shows more.")


def _show(
    database: Database,
    text: str,
    connection: dict[str, Any] | None,
    stream: dict[str, Any] | None,
    *,
    as_json: bool,
) -> None:
    row = find_quarantined(
        database,
        text,
        connection_id=connection["id"] if connection else None,
        stream_id=stream["id"] if stream else None,
    )
    raw = bytes(row.pop("raw")).decode("utf-8", "backslashreplace")
    if as_json:
        print_json({**row, "raw": raw})
        return
    print_facts(
        {
            "id": row["id"],
            "connection": row["connection"],
            "stream": row["stream"],
            "key": row["key"],
            "why": f"{row['reason']} ({row['code']})",
            "run": f"{row['run_id']}, page {row['page']}",
            "times": row["seen"],
            "first seen": row["first_seen_at"],
            "last seen": row["last_seen_at"],
            "tried again": row["retried_at"],
            "bytes": row["bytes"],
        }
    )
    say("")
    say(raw)
