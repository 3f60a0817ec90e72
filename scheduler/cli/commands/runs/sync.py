"""The command that asks for a sync, and waits for its end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli import elsewhere
from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, note, print_json, print_table, say
from scheduler.cli.session import (
    command_settings,
    new_request_id,
    open_database,
    open_publisher,
    open_registry,
)
from scheduler.connections.resolve import find_connection
from worker.parsing.durations import format_duration
from worker.runs.estimate import Estimate
from worker.runs.states import State

if TYPE_CHECKING:
    from scheduler.client import Client


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
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            _sync_elsewhere(api, connection, stream, wait=wait, as_json=as_json)
            return
    with open_database(settings) as database:
        open_publisher(settings)
        found = find_connection(database, connection)
        wanted = request_sync(
            database,
            found,
            None if stream is None else [stream],
            cause="cli",
            request_id=new_request_id(),
            actor=COMMAND_LINE,
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
            say(said + begins(waits.get(run.id)))
        say(f"Watch it with `headrace runs show {wanted[0].id}`.")
    if wait:
        _end_badly_if_one_failed(results)


def _sync_elsewhere(api: "Client", connection: str, stream: str | None, *, wait: bool, as_json: bool) -> None:
    """The same by way of an API."""
    asked = api.sync(connection, streams=None if stream is None else [stream])
    if wait:
        try:
            results = elsewhere.wait_for(api, asked, note)
        except KeyboardInterrupt:
            note("The runs go on without you; `headrace runs` shows them.")
            raise
        if as_json:
            print_json({"connection": asked.connection, "runs": results})
        else:
            _print_ended(results)
        _end_badly_if_one_failed(results)
        return
    if as_json:
        names = ("id", "stream", "joined", "ahead", "begins_in")
        runs_asked = [{name: getattr(run, name) for name in names} for run in asked.runs]
        print_json({"connection": asked.connection, "runs": runs_asked})
        return
    for run in asked.runs:
        said = f"{run.stream}: {'was queued already' if run.joined else 'asked for'}, run {run.id}"
        say(said + begins(Estimate(run.ahead or 0, run.begins_in)))
    say(f"Watch it with `headrace runs show {asked.runs[0].id}`.")


def _end_badly_if_one_failed(results: Sequence[dict[str, Any]]) -> None:
    if any(row["state"] not in {State.SUCCEEDED, State.PARTIAL} for row in results):
        raise typer.Exit(Exit.FAILED)


def _estimated(found: Estimate | None) -> dict[str, Any]:
    """What a script may want of it; a run that has begun waits no longer."""
    return {"ahead": found.ahead if found else 0, "begins_in": found.seconds if found else 0.0}


def begins(found: Estimate | None) -> str:
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
