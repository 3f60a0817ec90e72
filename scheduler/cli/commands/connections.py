"""The commands about connections: which there are, and what one is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli import elsewhere
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, filters_of, view_of
from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, ago, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.options.schedule import format_history, format_schedule
from scheduler.connections.options.windows import format_windows
from scheduler.connections.resolve import find_connection, list_connections, streams_of
from worker.engine.admission.opening import is_open, next_opening, open_until, read_windows

if TYPE_CHECKING:
    from scheduler.client import Connection, Stream

group = typer.Typer(cls=Sentences, invoke_without_command=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.add_typer(group, name="connections")


@group.callback()
def connections(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many.")] = 200,
    after: Annotated[str, typer.Option(help="Only those whose names come after this one.")] = "",
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """List connections in the order of their names; `connections show NAME` takes one.

    Example: headrace connections --json
    """
    if context.invoked_subcommand is not None:
        return
    settings = command_settings()
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            filters = filters_of(tenant, label, environment)
            rows = elsewhere.list_connections(api, limit=limit, after=after, **filters)
        else:
            with open_database(settings) as database:
                view = view_of(tenant, label, environment)
                rows = list_connections(database, limit=limit, after=(after, 2**62), view=view)
    if as_json:
        print_json(rows)
        return
    now = datetime.now(UTC)
    print_table(
        ["name", "system", "env", "state", "streams", "failing", "fresh as of", "next run"],
        (
            [
                row["name"], row["system"], row["environment"], _state(row), row["streams"], row["failing"] or "",
                ago(row["last_success_at"], now), None if row["paused_at"] else ago(row["next_run_at"], now),
            ]
            for row in rows
        ),
        empty=_none(by_token=settings.url is not None, narrowed=bool(tenant or label or environment)),
    )  # fmt: skip


def _none(*, by_token: bool, narrowed: bool) -> str:
    if narrowed:
        return "No connections of these."
    if by_token:
        return (
            "No connections that this token sees: one of live sees those of live, one of test those of test."
        )
    return "No connections yet. `headrace apply FILE` makes them."


@group.command("show")
def show(
    connection: Annotated[
        str, typer.Argument(help="Its name (`live/NAME` if both environments have it) or number.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show one connection and its streams. Of secrets only the references are known here.

    Example: headrace connections show plant
    """
    settings = command_settings()
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            _show_elsewhere(api.connection(connection), api.streams(connection), as_json=as_json)
            return
    with open_database(settings) as database:
        found = find_connection(database, connection)
        streams = streams_of(database, found["id"])
    if as_json:
        print_json({**found, "streams": streams})
        return
    print_facts(
        {
            "connection": found["name"],
            "number": str(found["id"]),
            "system": found["system"],
            "environment": found["environment"],
            "tenant": found["tenant"],
            "budget": found["budget"] or "its own",
            "paused since": found["paused_at"],
            **_windows(streams),
            **{f"setting {name}": value for name, value in found["settings"].items()},
            **{f"secret {name}": reference for name, reference in found["secrets"].items()},
            **{f"network {name}": value for name, value in found["network"].items()},
            **{f"label {name}": value for name, value in found["labels"].items()},
        }
    )
    say("")
    _print_streams(streams)


def _show_elsewhere(found: "Connection", streams: "Sequence[Stream]", *, as_json: bool) -> None:
    """The same as far as the API tells it."""
    if as_json:
        print_json(elsewhere.connection_json(found, streams))
        return
    print_facts(elsewhere.connection_facts(found))
    say("")
    now = datetime.now(UTC)
    print_table(
        ["stream", "schedule", "next run", "now", "last", "fresh as of", "history", "error"],
        (
            [
                each.name, _written(each.schedule) if each.enabled else "off", ago(each.next_run_at, now),
                f"{each.open_run} ({each.wait_reason})" if each.open_run and each.wait_reason else each.open_run or "",
                each.last_outcome, ago(each.last_success_at, now),
                "done" if each.history_done_at else each.history,
                (each.error.words or each.error.code) if each.failures and each.error else "",
            ]
            for each in streams
        ),
        empty="No streams.",
    )  # fmt: skip


def _written(schedule: Mapping[str, Any]) -> str:
    """A schedule in the words of a connections file."""
    words = [f"every {schedule.get('every')}"]
    words += [f"at {schedule['at']}"] if "at" in schedule else []
    return " ".join([*words, *([schedule["timezone"]] if "timezone" in schedule else [])])


def _state(row: dict[str, Any]) -> str:
    if row["paused_at"]:
        return "paused"
    if row["failing"]:
        return "failing"
    return "first sync" if row["history_pending"] else "ok"


def _print_streams(streams: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    print_table(
        ["stream", "schedule", "next run", "now", "last", "fresh as of", "history", "error"],
        (
            [
                row["name"], format_schedule(row["schedule"]) if row["enabled"] else "off",
                ago(row["next_run_at"], now), _open(row), row["last_outcome"],
                ago(row["last_success_at"], now),
                _history(row), row["last_error"] if row["failures"] else row["history_error"] or "",
            ]
            for row in streams
        ),
        empty="No streams.",
    )  # fmt: skip


def _open(row: dict[str, Any]) -> str:
    """What its run does at the moment, and what it waits for."""
    return f"{row['open_state']} ({row['wait_reason']})" if row["wait_reason"] else row["open_state"] or ""


def _windows(streams: list[dict[str, Any]]) -> dict[str, str]:
    """When the system may be asked, and whether now; by stream where they differ."""
    now = datetime.now(UTC)
    said = {
        row["name"]: _window(row["options"]["windows"], now) for row in streams if "windows" in row["options"]
    }
    if len(said) == len(streams) and len(set(said.values())) == 1:
        return {"windows": next(iter(said.values()))}
    return {f"windows of {name}": words for name, words in said.items()}


def _window(option: dict[str, Any], now: datetime) -> str:
    windows = read_windows(option)
    if is_open(windows, now):
        closing = open_until(windows, now)
        state = "open" if closing is None else f"open, closes {ago(closing, now)}"
    else:
        opening = next_opening(windows, now)
        state = "closed" if opening is None else f"closed, opens {ago(opening, now)}"
    return f"{format_windows(option)} ({state})"


def _history(row: dict[str, Any]) -> str:
    """`headrace history` says more."""
    if row["history_done_at"]:
        return "done"
    if row["history_paused_at"]:
        return "paused"
    return "failing" if row["history_error_code"] else format_history(row["history_days"])
