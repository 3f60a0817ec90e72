"""The commands about runs: ask for a sync, list what ran, look at one, stop one."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.cli.errors import Exit
from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, ago, note, print_facts, print_json, print_table, say
from scheduler.cli.session import (
    command_settings,
    new_request_id,
    open_database,
    open_publisher,
    open_registry,
)
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.runs.lists import SHORT_ID, end_of, find_run, list_runs
from worker.parsing.durations import format_duration
from worker.runs.estimate import Estimate, estimate, places
from worker.runs.states import Lane, State

group = typer.Typer(cls=Sentences, invoke_without_command=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.command()(sync)
    app.add_typer(group, name="runs")


def sync(
    connection: Annotated[
        str, typer.Argument(help="Its name (`live/NAME` if both environments have it) or number.")
    ],
    stream: Annotated[str | None, typer.Argument(help="One stream; else all that are switched on.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is done, the first history included.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a sync now. A run that is queued already is joined.

    With --wait the exit code is 1 if a run failed.

    Example: headrace sync plant work_orders --wait
    """
    from scheduler.cli.watch import watch  # noqa: PLC0415 - only this command needs it
    from scheduler.runs.syncs import request_sync  # noqa: PLC0415 - brings Celery
    from scheduler.runs.waits import waits_of  # noqa: PLC0415

    settings = command_settings()
    with open_database(settings) as database:
        open_publisher(settings)
        found = find_connection(database, connection)
        wanted = request_sync(
            database, found, None if stream is None else [stream], cause="cli", request_id=new_request_id()
        )
        if wait:
            try:
                results: list[dict[str, Any]] = [dict(row) for row in watch(database, wanted)]
            except KeyboardInterrupt:
                note("The runs go on without you; `headrace runs` shows them.")
                raise
        else:
            waits = waits_of(database, settings, open_registry(settings), found, [run.id for run in wanted])
            results = [
                {
                    "id": run.id,
                    "stream": run.stream,
                    "joined": not run.created,
                    **_estimated(waits.get(run.id)),
                }
                for run in wanted
            ]
    if as_json:
        print_json({"connection": found["name"], "runs": results})
    elif wait:
        _print_ended(results)
    else:
        for run in wanted:
            said = f"{run.stream}: {'asked for' if run.created else 'was queued already'}, run {run.id}"
            say(said + _begins(waits.get(run.id)))
        say(f"Watch it with `headrace runs show {wanted[0].id}`.")
    if wait and any(row["state"] not in {State.SUCCEEDED, State.PARTIAL} for row in results):
        raise typer.Exit(Exit.FAILED)


@group.callback()
def runs(
    context: typer.Context,
    *,
    connection: Annotated[str | None, typer.Option(help="Only this connection's.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream's; needs --connection.")] = None,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first; `runs show ID` and `runs cancel ID` take one.

    Example: headrace runs --connection plant --state failed
    """
    if context.invoked_subcommand is not None:
        return
    if stream is not None and connection is None:
        raise typer.BadParameter("--stream needs --connection.")
    with open_database(command_settings()) as database:
        found = find_connection(database, connection) if connection else None
        stream_id = find_stream(database, found, stream)["id"] if found and stream else None
        rows = list_runs(
            database,
            connection_id=found["id"] if found else None,
            stream_id=stream_id,
            state=state,
            limit=limit,
        )
    if as_json:
        print_json([_as_json(row) for row in rows])
        return
    now = datetime.now(UTC)
    print_table(
        ["id", "connection", "stream", "track", "state", "cause", "when", "took", "read", "new", "changed", "error"],
        (
            [
                str(row["id"])[:SHORT_ID], row["connection"], row["stream"], row["track"], row["state"], row["cause"],
                ago(row["finished_at"] or row["started_at"] or row["created_at"], now), _took(row, now),
                row["records_read"], row["records_created"], row["records_updated"], row["error_code"] or "",
            ]
            for row in rows
        ),
        empty="No runs.",
    )  # fmt: skip


@group.command("show")
def show(
    run: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")], as_json: AsJson = False
) -> None:
    """Show one run, open or ended, with its steps.

    Example: headrace runs show 0199d2c4-77aa-7c1
    """
    with open_database(command_settings()) as database:
        row = find_run(database, run)
        end = end_of(database, row)
        waits = {found: estimate(place) for found, place in places(database, [row["id"]]).items()}
    if as_json:
        print_json(_as_json(row))
        return
    now = datetime.now(UTC)
    print_facts(
        {
            "run": row["id"],
            "connection": row["connection"],
            "stream": row["stream"],
            "track": row["track"],
            "state": row["state"],
            "waits": _waits(row, now),
            "begins": _begins(waits.get(row["id"])).removeprefix("; ") or None,
            "merged into": f"{end['id']} ({end['state']})" if row["merged_into"] else None,
            "cause": f"{row['cause']}, lane {Lane(row['lane']).name.lower()}, queue {row['queue']}",
            "request": row["request_id"],
            "worker": row["worker"],
            "failures": row["attempt"] or None,
            "asked for": row["created_at"],
            "begun": row["started_at"],
            "ended": row["finished_at"],
            "took": _took(row, now),
            "pages": row["pages"],
            "records": _counts(row),
            "error": row["error"] and f"{row['error']} ({row['error_code']})",
        }
    )
    if row["steps"]:
        say("")
        print_table(["step", "times", "ms", "more"], map(_step, row["steps"]), empty="")


@group.command("cancel")
def cancel(
    run: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")], as_json: AsJson = False
) -> None:
    """Stop an open run: a queued one at once, a running one at its next page. What was committed stays.

    Example: headrace runs cancel 0199d2c4-77aa-7c1
    """
    from worker.runs.cancel import cancel_run  # noqa: PLC0415

    with open_database(command_settings()) as database:
        row = find_run(database, run)
        outcome = cancel_run(database, row["id"])
    if as_json:
        print_json({"id": row["id"], "outcome": outcome})
    elif outcome == "cancelled":
        say(f"Run {row['id']} is cancelled.")
    else:
        say(f"Run {row['id']} ends at its next page.")


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row) | {"lane": Lane(row["lane"]).name.lower()}


def _estimated(found: Estimate | None) -> dict[str, Any]:
    """What a script may want of it; a run that has begun waits no longer."""
    return {"ahead": found.ahead if found else 0, "begins_in": found.seconds if found else 0.0}


def _begins(found: Estimate | None) -> str:
    """When it begins, where that isn't at once."""
    if found is None:
        return ""
    if found.seconds is None:
        return "; no worker serves its queue"
    if found.seconds < 1:
        return ""
    before = f"{found.ahead} before it, " if found.ahead else ""
    return f"; {before}begins in about {format_duration(found.seconds)}"


def _print_ended(results: list[dict[str, Any]]) -> None:
    print_table(
        ["stream", "track", "state", "read", "new", "changed", "deleted", "set aside", "error"],
        (
            [
                row["stream"], row["track"], row["state"], row["records_read"], row["records_created"],
                row["records_updated"], row["records_deleted"], row["records_rejected"], row["error"] or "",
            ]
            for row in results
        ),
        empty="No runs.",
    )  # fmt: skip


def _took(row: dict[str, Any], now: datetime) -> str | None:
    if row["started_at"] is None:
        return None
    end = row["finished_at"] or (now if row["state"] == State.RUNNING else row["started_at"])
    seconds = (end - row["started_at"]).total_seconds()
    return f"{seconds:.1f}s" if seconds < 60 else format_duration(seconds)


def _waits(row: dict[str, Any], now: datetime) -> str | None:
    if row["state"] != State.QUEUED or row["not_before"] is None:
        return None
    if row["not_before"] <= now:
        return "for a free worker"
    reason = f" ({row['wait_reason']})" if row["wait_reason"] else ""
    return f"{ago(row['not_before'], now)}{reason}"


def _counts(row: dict[str, Any]) -> str:
    names = ("read", "created", "updated", "deleted", "refused", "rejected")
    total = f" of {row['records_total']:,}" if row["records_total"] else ""
    counted = [f"{row[f'records_{name}']:,}{total if name == 'read' else ''} {name}" for name in names]
    return ", ".join(counted)


def _step(step: dict[str, Any]) -> list[Any]:
    """A step as `worker.telemetry.steps` keeps it."""
    known = {"name", "ms", "n", "max_ms"}
    more = ", ".join(f"{key} {value:,}" for key, value in step.items() if key not in known)
    return [step.get("name"), step.get("n", 1), f"{step.get('ms', 0):,.1f}", more]
