"""The command that compares the copy with its source."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, ago, note, print_json, print_table, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_publisher
from scheduler.connections.resolve import find_connection, find_stream
from worker.runs.states import State

EXAMPLES = 5


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(verify)


def verify(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str | None, typer.Argument(help="One stream; else all that are switched on.")] = None,
    *,
    requests: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="How many requests each stream may take; 50 if left out."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what differs, and delete what the source says is gone.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the result.")] = True,
    last: Annotated[bool, typer.Option("--last", help="Show the last result, and ask for nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the copy with its source: all of a small stream, samples of a large one. The exit code is 5 on drift.

    What the next sync is to bring is no drift.

    Example: headrace verify plant work_orders --repair
    """
    from scheduler.cli.watch import watch  # noqa: PLC0415 - only this command needs these
    from scheduler.proof.verify import drift_of, proofs, request_verify, results  # noqa: PLC0415

    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection)
        if last:
            of = find_stream(database, found, stream)["id"] if stream else None
            _show_last(proofs(database, found["id"], of), as_json=as_json)
            return
        open_publisher(settings)
        wanted = request_verify(
            database,
            found,
            None if stream is None else [stream],
            requests=requests,
            repair=repair,
            cause="cli",
            request_id=new_request_id(),
        )
        if not wait:
            _show_wanted(wanted, as_json=as_json)
            return
        try:
            ended = watch(database, wanted, history=False)
        except KeyboardInterrupt:
            note("The runs go on without you; `headrace verify CONNECTION --last` shows what they found.")
            raise
        rows = [dict(row) for row in results(database, [row["id"] for row in ended])]
    failed = [row for row in ended if row["state"] != State.SUCCEEDED]
    if as_json:
        print_json({"connection": found["name"], "streams": rows, "failed": failed})
    else:
        for row in rows:
            _say(row)
        for row in failed:
            say(f"{row['stream']}: {row['state']}. {row['error'] or ''}")
    if failed:
        raise typer.Exit(Exit.FAILED)
    if any(drift_of(row) for row in rows):
        raise typer.Exit(Exit.DRIFT)


def _say(row: dict[str, Any]) -> None:
    used = f"{row['requests']} of {row['allowance']} requests; {', '.join(row['methods']) or 'nothing looked at'}"
    since = row["scope"].get("updated_since")
    scope = f"; what changed since {since[:10]}" if since else ""
    say(f"{row['stream']}: {row['words']} ({used}{scope})")
    for each in row["examples"][:EXAMPLES]:
        fields = f": {', '.join(each['fields'])}" if each.get("fields") else ""
        say(f"  {each['kind']} {each['key']}{fields}")
    if len(row["examples"]) > EXAMPLES:
        say("  … --json shows more.")


def _show_wanted(wanted: list[Any], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"runs": [{"id": run.id, "stream": run.stream, "joined": not run.created} for run in wanted]}
        )
        return
    for run in wanted:
        say(f"{run.stream}: {'asked for' if run.created else 'was queued already'}, run {run.id}")


def _show_last(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    now = datetime.now(UTC)
    print_table(
        ["stream", "proven", "drift", "last", "next", "found"],
        (
            [
                row["stream"], ago(row["proven_at"], now), row["drift"], ago(row["finished_at"], now),
                ago(row["next_verify_at"], now), row["words"] or "not compared yet",
            ]
            for row in rows
        ),
        empty="No streams.",
    )  # fmt: skip
