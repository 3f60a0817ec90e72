"""The commands about the connections file: make the rows what it says, and write it from the rows."""

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.errors import Exit
from scheduler.cli.forecasts import forecast_json, in_words
from scheduler.cli.output import AsJson, clean, note, print_json, say
from scheduler.cli.session import command_settings, open_database, open_registry
from scheduler.connections.apply import apply as apply_document
from scheduler.connections.plan import EFFECTIVE, Plan, plan_json, plan_lines
from worker.config import Settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.errors import Transient
from worker.parsing.documents import load_document

if TYPE_CHECKING:
    from worker.engine.history.forecast import Forecast


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.command()(apply)
    app.command("export-config")(export_config)


def apply(
    file: Annotated[Path, typer.Argument(help="The connections file (YAML or JSON).")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Delete connections that the file doesn't name, with their records."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Set back what was edited elsewhere, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make connections what a file says, and show what changes. What the file doesn't name is left alone.

    Example: headrace apply connections.yaml --dry-run
    """
    if yes and not prune:
        raise typer.BadParameter("--yes goes with --prune.")
    settings = command_settings()
    document = load_document(file)
    with open_database(settings) as database:
        registry = open_registry(settings)

        def carry_out(*, dry_run: bool) -> Plan:
            return apply_document(
                database, registry, document, dry_run=dry_run, prune=prune, overwrite=overwrite
            )

        if prune and not dry_run and not yes:
            _confirm(carry_out(dry_run=True))
        plan = carry_out(dry_run=dry_run)
        expected = _forecasts(database, settings, registry, plan) if dry_run else {}
        again = _read_again(database, settings, registry, plan) if dry_run else {}
        if not dry_run:
            _make_views(database, registry, plan)
    if as_json:
        forecasts = {name: forecast_json(each) for name, each in expected.items()}
        costs = {name: forecast_json(each) for name, each in again.items()}
        told = {"forecasts": forecasts, "read_again": costs}
        print_json(plan_json(plan) | {name: found for name, found in told.items() if found})
        return
    for name, each in again.items():
        say(f"  {clean(name)}: reading again is {in_words(each)}.")
    for name, each in expected.items():
        say(f"  {clean(name)}: its longer history is {in_words(each)}.")
    for line in plan_lines(plan):
        say(line)


def _forecasts(
    database: Database, settings: Settings, registry: Registry, plan: Plan
) -> dict[str, "Forecast"]:
    """What is to be read where a history is made longer, by the connection and stream that it is of."""
    from scheduler.runs.history import lengthened  # noqa: PLC0415 - brings Celery
    from scheduler.runs.waits import allowances  # noqa: PLC0415

    found: dict[str, Forecast] = {}
    for connection, stream in plan.lengthened:
        row = {"id": connection.id, "system": connection.system, "settings": connection.settings}
        with allowances(database, settings, registry, row) as wait:
            where = lengthened(database, row, stream.name, stream.history_days, wait)
        found[f"{connection.name} / {stream.name}"] = where.left
    return found


def _read_again(
    database: Database, settings: Settings, registry: Registry, plan: Plan
) -> dict[str, "Forecast"]:
    """What is to be read again where a stream is described otherwise, by the connection and stream that it is of."""
    from scheduler.connections.upgrading.plan import costs_of  # noqa: PLC0415

    found: dict[str, Forecast] = {}
    for one in plan.connections:
        anew = {change.stream for change in one.refits if change.anew}
        if (row := one.current) is not None and anew:
            bind = partial(registry.get(row.system, row.manifest_version).bind, one.settings)
            costs = costs_of(database, settings, registry, row, anew=anew, bind=bind)
            found |= {f"{row.name} / {name}": cost for name, cost in costs.items()}
    return found


def _make_views(database: Database, registry: Registry, plan: Plan) -> None:
    """What can't be made now, because somebody reads it, beat makes later."""
    from worker.views.tending import make_all  # noqa: PLC0415

    changed = {change.connection for change in plan.changes if change.kind in EFFECTIVE}
    rows = database.all(
        "SELECT id, name FROM connections WHERE name = ANY (%(names)s)", {"names": list(changed)}
    )
    if rows:
        with suppress(Transient):
            make_all(database, registry, [row["id"] for row in rows])


def export_config(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; else it is printed.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a connections file of what is there. Applied, it changes nothing. It holds no secret, only references.

    Example: headrace export-config connections.yaml
    """
    from scheduler.connections.file.export import export_document  # noqa: PLC0415

    settings = command_settings()
    with open_database(settings) as database:
        text = export_document(database, open_registry(settings))
    if file is None:
        sys.stdout.write(text)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise typer.BadParameter(f"{file} is there already; --force replaces it.") from None
    say(f"Written to {file}.")


def _confirm(plan: Plan) -> None:
    """Deleting takes the records along, so it is asked for by name and number, and only of a person."""
    if not plan.deletes:
        return
    for line in plan_lines(plan):
        note(line)
    if not sys.stdin.isatty():
        note(
            "Error: this deletes connections, and nobody is there to be asked. Give --yes to do it all the same."
        )
        raise typer.Exit(Exit.USAGE)
    names = ", ".join(clean(change.connection) for change in plan.deletes)
    if not typer.confirm(f"Delete {names} for good?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(Exit.FAILED)
