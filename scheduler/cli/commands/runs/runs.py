"""The commands about runs: list what ran, look at one, stop one."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli import elsewhere
from scheduler.cli.commands.runs.sync import begins
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, filters_of, view_of
from scheduler.cli.output import AsJson, ago, print_facts, print_json, print_table, say
from scheduler.cli.session import (
    command_settings,
    open_database,
)
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.connections.view import View
from scheduler.runs.lists import SHORT_ID, end_of, find_run, list_runs
from worker.config import Settings
from worker.db.database import Database
from worker.errors import NotFound
from worker.parsing.durations import format_duration
from worker.runs.estimate import Estimate, estimate, places
from worker.runs.states import Lane, State

if TYPE_CHECKING:
    from scheduler.client import Run


def runs(
    context: typer.Context,
    *,
    connection: Annotated[str | None, typer.Option(help="Only this connection's.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream's; needs --connection.")] = None,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
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
    settings = command_settings()
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            filters = filters_of(tenant, label, environment)
            rows = elsewhere.list_runs(
                api, limit=limit, connection=connection, stream=stream, state=state, **filters
            )
        else:
            view = view_of(tenant, label, environment)
            rows = _list(settings, connection, stream, state, limit=limit, view=view)
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


def _list(
    settings: Settings,
    connection: str | None,
    stream: str | None,
    state: State | None,
    *,
    limit: int,
    view: View,
) -> list[dict[str, Any]]:
    with open_database(settings) as database:
        found = find_connection(database, connection, view) if connection else None
        stream_id = find_stream(database, found, stream)["id"] if found and stream else None
        return [
            dict(row)
            for row in list_runs(
                database,
                connection_id=found["id"] if found else None,
                stream_id=stream_id,
                state=state,
                limit=limit,
                view=view,
            )
        ]


def show(
    run: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")], as_json: AsJson = False
) -> None:
    """Show one run, open or ended, with its steps.

    Example: headrace runs show 0199d2c4-77aa-7c1
    """
    settings = command_settings()
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            _show_elsewhere(elsewhere.find_run(api, run), as_json=as_json)
            return
    with open_database(settings) as database:
        row = find_run(database, run)
        end = end_of(database, row)
        waits = {found: estimate(place) for found, place in places(database, [row["id"]]).items()}
    if as_json:
        print_json(_as_json(row))
        return
    _print_run(row, end, waits.get(row["id"]))


def _show_elsewhere(found: "Run", *, as_json: bool) -> None:
    row = elsewhere.run_row(found)
    if as_json:
        print_json(_as_json(row))
        return
    end = {"id": found.ends_as.id, "state": found.ends_as.state} if found.ends_as else None
    _print_run(row, end, None if found.ahead is None else Estimate(found.ahead, found.begins_in))


def _print_run(row: dict[str, Any], end: Mapping[str, Any] | None, wait: Estimate | None) -> None:
    now = datetime.now(UTC)
    print_facts(
        {
            "run": row["id"],
            "connection": row["connection"],
            "stream": row["stream"],
            "track": row["track"],
            "state": row["state"],
            "waits": _waits(row, now),
            "begins": begins(wait).removeprefix("; ") or None,
            "merged into": f"{end['id']} ({end['state']})" if end and row["merged_into"] else None,
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


def cancel(
    run: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")], as_json: AsJson = False
) -> None:
    """Stop an open run: a queued one at once, a running one at its next page. What was committed stays.

    Example: headrace runs cancel 0199d2c4-77aa-7c1
    """
    settings = command_settings()
    outcome: str
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            run_id = elsewhere.find_run(api, run).id
            outcome = api.cancel_run(run_id)
        else:
            with open_database(settings) as database:
                run_id = find_run(database, run)["id"]
                outcome = _cancelled_here(database, run_id)
    if as_json:
        print_json({"id": run_id, "outcome": outcome})
    elif outcome == "cancelled":
        say(f"Run {run_id} is cancelled.")
    else:
        say(f"Run {run_id} ends at its next page.")


def _cancelled_here(database: Database, run_id: UUID) -> str:
    from scheduler.runs.acts import cancel as cancel_noted  # noqa: PLC0415 - brings Celery
    from scheduler.runs.syncs import Refused  # noqa: PLC0415

    try:
        return cancel_noted(database, run_id, COMMAND_LINE)
    except Refused:
        raise NotFound(
            "unknown_run",
            f"No open run has the id {run_id}.",
            hint="`headrace runs` lists runs; ended ones stay ended.",
        ) from None


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row) | {"lane": Lane(row["lane"]).name.lower()}


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
