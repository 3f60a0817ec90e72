"""`headrace taps`: which Singer taps may run here, and are their packages there? They are installed before a run needs them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, note, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection
from worker.config import Settings
from worker.errors import InvalidInput

if TYPE_CHECKING:
    from worker.taps.allowed import Allowed

NONE = "No tap may run here. HEADRACE_TAPS names those that may."

group = typer.Typer(cls=Sentences, rich_markup_mode=None, invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.add_typer(group, name="taps")


@group.callback()
def taps(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show which taps HEADRACE_TAPS allows, and which of them are installed on this machine.

    Example: headrace taps
    """
    if context.invoked_subcommand is not None:
        return
    settings = command_settings()
    rows = [_row(entry, settings) for entry in settings.taps]
    if as_json:
        print_json({"taps": rows})
        return
    print_table(
        ["tap", "version", "here"], ([r["tap"], r["version"] or "", r["here"]] for r in rows), empty=NONE
    )


def _row(entry: str, settings: Settings) -> dict[str, Any]:
    from worker.taps.environments import known_environment  # noqa: PLC0415

    if entry.startswith("/"):
        return {"tap": entry, "version": None, "here": "a folder" if entry.endswith("/") else "a program"}
    tap = _allowed(entry, settings)
    found = known_environment(tap, settings.home)
    here = "installed" if found else "at its first use"
    if not tap.is_pinned:
        here += "; name its version: another day it is another program"
    return {"tap": entry, "version": found.version if found else None, "here": here}


def _allowed(wanted: str, settings: Settings) -> "Allowed":
    from worker.taps.allowed import allowed_tap  # noqa: PLC0415

    return allowed_tap(wanted, settings.taps)


@group.command("install")
def install(
    connection: Annotated[
        str | None,
        typer.Argument(help="The connection whose tap it is, by name or number; left out: all that may run."),
    ] = None,
) -> None:
    """Install taps on this machine, each in an environment of its own, before a run needs them.

    Example: headrace taps install plant
    """
    from worker.taps.environments import environment_of  # noqa: PLC0415

    settings = command_settings()
    wanted = [entry for entry in settings.taps if not entry.startswith("/")]
    if connection is not None:
        with open_database(settings) as database:
            row = find_connection(database, connection)
        if "tap" not in row["settings"]:
            raise InvalidInput("no_tap", f"The connection {row['name']!r} has no tap.")
        wanted = [row["settings"]["tap"]]
    if not wanted:
        say(NONE)
    for entry in wanted:
        tap = _allowed(entry, settings)
        if tap.program is not None:
            say(f"{entry} is a program of this machine: there is nothing to install.")
            continue
        note(f"{tap.requirement}: looking, or installing; this may take a minute.")
        environment = environment_of(tap, settings.home)
        say(f"{tap.requirement} is there: {', '.join(environment.scripts)} {environment.version}.")
