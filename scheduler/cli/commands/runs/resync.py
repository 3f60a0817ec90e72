"""The command that has records read again."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.errors import Exit
from scheduler.cli.forecasts import forecast_json, in_words
from scheduler.cli.output import AsJson, note, print_json, say
from scheduler.cli.session import (
    command_settings,
    new_request_id,
    open_database,
    open_publisher,
    open_registry,
)
from scheduler.connections.resolve import find_connection, find_stream
from worker.errors import InvalidInput
from worker.runs.states import State

if TYPE_CHECKING:
    from worker.engine.history.forecast import Forecast


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(resync)


def resync(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    *,
    since: Annotated[
        str | None, typer.Option(help="What changed from then on: 2026-03-01, or 30d for so long ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="What changed up to then.")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="NAME=VALUE, as the system takes it; several times.")
    ] = None,
    ids: Annotated[str | None, typer.Option(help="Keys of records, with commas between them.")] = None,
    ids_file: Annotated[
        Path | None, typer.Option("--ids-file", help="A file with a key a line; - reads stdin.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the stream.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read records again: all, a range of dates, what fits a filter, or some by their keys.

    What comes counts whatever the copy believes; a key that the system doesn't know any more becomes a delete. No other
    cursor moves. With --wait the exit code is 1 if the run failed.

    Example: headrace resync plant work_orders --ids WO-17,WO-18 --wait
    """
    from scheduler.connections.systems import source_of  # noqa: PLC0415
    from scheduler.runs.resync import check_scope, forecast_of, request_resync, scope_of  # noqa: PLC0415 - Celery
    from scheduler.runs.waits import allowances  # noqa: PLC0415

    scope = scope_of(
        since=since,
        until=until,
        filters=_pairs(filters or ()),
        ids=_keys(ids, ids_file),
        everything=everything,
        now=datetime.now(UTC),
    )
    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection)
        row = find_stream(database, found, stream)
        registry = open_registry(settings)
        source = source_of(registry, found).stream(stream)
        check_scope(source, scope)
        with allowances(database, settings, registry, found) as allowed:
            expected = forecast_of(database, row, source, scope, allowed)
        if dry_run:
            _say_forecast(expected, scope.as_json(), as_json=as_json)
            return
        open_publisher(settings)
        wanted = request_resync(
            database, found, row, source, scope, cause="cli", request_id=new_request_id(), actor=COMMAND_LINE
        )
        results = _ended(database, wanted) if wait else None
    if as_json:
        print_json(
            results or {"id": wanted.id, "joined": not wanted.created, "forecast": forecast_json(expected)}
        )
    elif results is None:
        say(
            f"{'Asked for' if wanted.created else 'Was queued already'}, run {wanted.id}; {in_words(expected)}."
        )
        say(f"Watch it with `headrace runs show {wanted.id}`.")
    else:
        _say_ended(results)
    if results is not None and results["state"] not in {State.SUCCEEDED, State.PARTIAL}:
        raise typer.Exit(Exit.FAILED)


def _ended(database: Any, wanted: Any) -> dict[str, Any]:
    """How it ended. Leaving by Ctrl-C leaves the run alone."""
    from scheduler.cli.watch import watch  # noqa: PLC0415 - only where somebody waits

    try:
        rows = watch(database, [wanted], history=False)
    except KeyboardInterrupt:
        note("The run goes on without you; `headrace runs` shows it.")
        raise
    return dict(rows[-1])


def _keys(text: str | None, file: Path | None) -> list[str] | None:
    """From the option or the file, without blanks around them."""
    if text is None and file is None:
        return None
    if text is not None and file is not None:
        raise InvalidInput("bad_option", "--ids and --ids-file can't both be meant.", place="--ids")
    if text is not None:
        return [key.strip() for key in text.split(",")]
    assert file is not None  # noqa: S101 - one of the two is there
    try:
        lines = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput("bad_file", f"{file} can't be read: {_why(exc)}.", place="--ids-file") from None
    return [line.strip() for line in lines.splitlines()]


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (
        "it is no UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or "it can't be opened"
    )


def _pairs(filters: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in filters:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInput(
                "bad_filter",
                f"{text[:60]!r} is no filter.",
                place="--filter",
                hint="Write it like status=open.",
            )
        pairs[name] = value
    return pairs


def _say_forecast(expected: "Forecast", scope: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"scope": scope, "forecast": forecast_json(expected)})
    else:
        say(f"It would read {in_words(expected)}. Nothing was asked for yet.")


def _say_ended(row: dict[str, Any]) -> None:
    counts = ("read", "created", "updated", "deleted")
    said = ", ".join(f"{row[f'records_{name}']:,} {name}" for name in counts)
    say(f"{row['state']}: {said}." + (f" {row['error']}" if row["error"] else ""))
