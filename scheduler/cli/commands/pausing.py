"""The commands that stop connections for a while and start them again: one, or all of a tenant or with labels."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from scheduler.cli import elsewhere
from scheduler.cli.errors import Exit
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, filters_of
from scheduler.cli.output import AsJson, note, print_json, say
from scheduler.cli.session import command_settings, open_database, open_publisher
from scheduler.connections.resolve import find_connection, list_connections
from scheduler.connections.view import EVERYTHING, View, meant
from worker.errors import NotFound

if TYPE_CHECKING:
    from worker.db.database import Database

NAMED = 20
"""So many are named to whoever is asked."""
COUNTED = 10_000
Connection = Annotated[
    str | None,
    typer.Argument(help="The connection's name or number; left out: those of --tenant and --label."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which would be changed.")]
Yes = Annotated[bool, typer.Option("--yes", help="Change many without asking.")]
Rows: TypeAlias = Sequence[Mapping[str, Any]]


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.command()(pause)
    app.command()(resume)


def pause(
    connection: Connection = None,
    *,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Plan nothing more for a connection until it is resumed. What runs already ends its work.

    Without a name: for all of a tenant or with labels, after they were listed and you agreed.

    Example: headrace pause plant
    """
    from scheduler.connections.pause import pause as pause_now  # noqa: PLC0415

    filters = _filters(connection, tenant, label, environment, alone=dry_run or yes)
    if connection is None:
        _many(filters, paused=True, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    settings = command_settings()
    done: Any
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            done = api.pause(connection)
            name = done.connection
        else:
            with open_database(settings) as database:
                row = find_connection(database, connection)
                done = pause_now(database, row["name"], row["environment"])
                name = done.name
    if as_json:
        print_json({"connection": name, "paused": True, "changed": done.changed, "running": done.running})
        return
    running = f" {done.running} of its runs still end their work." if done.running else ""
    say(f"{name} is paused.{running}" if done.changed else f"{name} was paused already.{running}")


def resume(
    connection: Connection = None,
    *,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let a paused connection go on: each stream owes one run, however long the pause was.

    Without a name: all of a tenant or with labels, after they were listed and you agreed.

    Example: headrace resume plant
    """
    from scheduler.connections.pause import resume as resume_now  # noqa: PLC0415
    from worker.runs.wakeups.publish import publish  # noqa: PLC0415 - brings Celery

    filters = _filters(connection, tenant, label, environment, alone=dry_run or yes)
    if connection is None:
        _many(filters, paused=False, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    settings = command_settings()
    done: Any
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            done = api.resume(connection)
            name = done.connection
        else:
            with open_database(settings) as database:
                open_publisher(settings)
                row = find_connection(database, connection)
                done = resume_now(database, row["name"], row["environment"])
                publish(done.wakeups)
                name = done.name
    if as_json:
        print_json({"connection": name, "paused": False, "changed": done.changed})
        return
    say(f"{name} goes on." if done.changed else f"{name} wasn't paused.")


def _filters(
    connection: str | None,
    tenant: str | None,
    label: list[str] | None,
    environment: str | None,
    *,
    alone: bool,
) -> dict[str, Any]:
    """What is meant instead of a name. Everything is meant by nothing."""
    if connection is not None and (tenant or label or environment or alone):
        raise typer.BadParameter("--tenant, --label, --environment, --dry-run and --yes go without a name.")
    if connection is None and not (tenant or label):
        raise typer.BadParameter("Name a connection, or say --tenant, --label, or both.")
    return filters_of(tenant, label, environment)


def _many(filters: dict[str, Any], *, paused: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    with _place(filters, paused=paused) as (listed, act):
        rows = listed()
        if not rows:
            raise NotFound("nothing_meant", "There is no connection of this tenant and with these labels.")
        would = [row for row in rows if (row["paused_at"] is None) is paused]
        if dry_run:
            _say_dry(rows, would, paused=paused, as_json=as_json)
            return
        if would and not yes:
            _confirm(would, paused=paused)
        done = act()
    if as_json:
        print_json(done)
        return
    _say_done(done, paused=paused)


@contextmanager
def _place(
    filters: dict[str, Any], *, paused: bool
) -> Iterator[tuple[Callable[[], Rows], Callable[[], dict[str, Any]]]]:
    """What lists them and what changes them: at the API elsewhere, or in the database."""
    settings = command_settings()
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            act = api.pause_all if paused else api.resume_all
            yield (
                lambda: [asdict(each) for each in islice(api.connections(**filters), COUNTED)],
                lambda: asdict(act(**filters)),
            )
            return
    with open_database(settings) as database:
        if not paused:
            open_publisher(settings)
        view = meant(EVERYTHING, **filters)
        yield (
            lambda: list_connections(database, limit=COUNTED, view=view),
            lambda: _pause(database, view) if paused else _resume(database, view),
        )


def _pause(database: "Database", view: View) -> dict[str, Any]:
    from scheduler.connections.pause import pause_each  # noqa: PLC0415

    done = [
        {"id": each.connection_id, "connection": each.name, "changed": each.changed, "running": each.running}
        for each in pause_each(database, view)
    ]
    return _told(done, paused=True)


def _resume(database: "Database", view: View) -> dict[str, Any]:
    from scheduler.connections.pause import resume_each  # noqa: PLC0415
    from worker.runs.wakeups.publish import publish  # noqa: PLC0415 - brings Celery

    done = []
    for each in resume_each(database, view):
        if each.wakeups:
            publish(each.wakeups)
        done.append(
            {
                "id": each.connection_id,
                "connection": each.name,
                "changed": each.changed,
                "disconnected": each.disconnected,
            }
        )
    return _told(done, paused=False)


def _told(done: list[dict[str, Any]], *, paused: bool) -> dict[str, Any]:
    """As the API tells it."""
    return {
        "paused": paused,
        "matched": len(done),
        "changed": sum(each["changed"] for each in done),
        "running": sum(each.get("running", 0) for each in done),
        "connections": [{"running": 0, "disconnected": False, **each} for each in done],
    }


def _confirm(would: Rows, *, paused: bool) -> None:
    verb = "Pause" if paused else "Resume"
    for line in _lines(would):
        note(line)
    if not sys.stdin.isatty():
        note(
            f"Error: this {verb.lower()}s {_count(would)}, and nobody is there to be asked. Give --yes to do it."
        )
        raise typer.Exit(Exit.USAGE)
    if not typer.confirm(f"{verb} {_count(would)}?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(Exit.FAILED)


def _say_dry(rows: Rows, would: Rows, *, paused: bool, as_json: bool) -> None:
    if as_json:
        names = ("id", "name", "environment", "tenant", "labels")
        print_json([{name: row[name] for name in names} for row in would])
        return
    for line in _lines(would):
        say(line)
    state = "paused" if paused else "resumed"
    say(f"{len(would):,} of {_count(rows)} would be {state}.")


def _say_done(done: Mapping[str, Any], *, paused: bool) -> None:
    changed, matched = done["changed"], done["matched"]
    gone = sum(each["disconnected"] for each in done["connections"])
    words = [
        f"{changed:,} of {matched:,} connections {'are paused now' if paused else 'go on'}.",
        f"{done['running']:,} runs still end their work." if done["running"] else "",
        f"{gone:,} can't go on: their secrets were taken away." if gone else "",
    ]
    say(" ".join(word for word in words if word))


def _lines(rows: Rows) -> list[str]:
    lines = [f"  {row['environment']}/{row['name']} ({row['tenant'] or 'no tenant'})" for row in rows[:NAMED]]
    return [*lines, f"  and {len(rows) - NAMED:,} more"] if len(rows) > NAMED else lines


def _count(rows: Rows) -> str:
    """In words; more than so many aren't counted."""
    most = " or more" if len(rows) == COUNTED else ""
    return f"{len(rows):,}{most} connection{'' if len(rows) == 1 else 's'}"
