"""The commands about the versions of systems: which are in use, and how connections go from one to another."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.commands.systems.telling import Result, lines_of, result_json
from scheduler.cli.errors import Exit
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, view_of
from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, clean, note, print_json, print_table, say
from scheduler.cli.pairs import pairs
from scheduler.cli.session import command_settings, open_database, open_registry
from scheduler.connections.resolve import find_connection
from worker.config import Settings
from worker.connectors.registry import Edition, Registry
from worker.db.database import Database
from worker.errors import HeadraceError, InvalidInput, NotFound

if TYPE_CHECKING:
    from scheduler.connections.upgrading.step import Given

group = typer.Typer(cls=Sentences, rich_markup_mode=None, invoke_without_command=True)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Connections by name or number; left out: those that the options say."),
]
OfSystem = Annotated[str | None, typer.Option("--system", help="All connections of this system.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change and what it costs, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Read again what has to be read again without asking.")]
Despite = Annotated[
    bool,
    typer.Option("--despite-erasures", help="Also where erased records would come back under other keys."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.add_typer(group, name="connectors")


@group.callback()
def connectors(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show of each system which version is current, which ones connections use, and how many are behind.

    Example: headrace connectors
    """
    from scheduler.connections.upgrading.plan import in_use  # noqa: PLC0415

    if context.invoked_subcommand is not None:
        return
    settings = command_settings()
    registry = open_registry(settings)
    with open_database(settings) as database:
        rows = in_use(database, registry)
    problems = [error for _, error in registry.problems()]
    if as_json:
        print_json({"systems": rows, "problems": [{"code": e.code, "words": str(e)} for e in problems]})
        return
    print_table(
        ["system", "current", "connections", "in use", "behind"],
        (
            [r["system"], r["current"] or "none", r["connections"], _versions(r), r["behind"] or ""]
            for r in rows
        ),
        empty="There is no system.",
    )
    for error in problems:
        note(str(error))
    if any(row["behind"] for row in rows):
        say("What an upgrade would change: `headrace connectors upgrade --all --dry-run`.")


def _versions(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{version} ({count})" for version, count in row["versions"].items())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which connections, and where to."""

    names: Sequence[str]
    view: Mapping[str, Any]
    system: str | None
    everything: bool
    to: str | None = None
    back: bool = False

    def rows(self, database: Database) -> list[Mapping[str, Any]]:
        from scheduler.connections.upgrading.plan import chosen  # noqa: PLC0415

        if self.names:
            return [find_connection(database, name) for name in self.names]
        return chosen(database, system=self.system, view=self.view)

    def target(self, registry: Registry, row: Mapping[str, Any]) -> Edition:
        from scheduler.connections.upgrading.plan import before_of, target_of  # noqa: PLC0415

        return before_of(registry, row) if self.back else target_of(registry, row, self.to)


@group.command("upgrade")
def upgrade(
    connection: Names = None,
    *,
    to: Annotated[str | None, typer.Option(help="This version; else the current one.")] = None,
    system: OfSystem = None,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    everything: Annotated[bool, typer.Option("--all", help="All connections.")] = False,
    settings_given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting that the version needs; several times."),
    ] = None,
    secrets_given: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="NAME=REFERENCE",
            help="A secret that it needs, as a reference; several times.",
        ),
    ] = None,
    despite_erasures: Despite = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let connections go over to another version of their system's manifest, each for itself.

    A stream whose key or cursor is another begins anew: what is kept of it would not fit. All else goes on where it was.

    Example: headrace connectors upgrade plant --dry-run
    """
    from scheduler.connections.upgrading.step import Given  # noqa: PLC0415

    wanted = _wanted(connection, system, view_of(tenant, label, environment), everything=everything, to=to)
    given = Given(
        {name: _typed(value) for name, value in pairs(settings_given, "--set").items()},
        pairs(secrets_given, "--secret", "REFERENCE"),
        despite_erasures,
    )
    _go(wanted, given, dry_run=dry_run, yes=yes, as_json=as_json)


@group.command("downgrade")
def downgrade(
    connection: Names = None,
    *,
    system: OfSystem = None,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    despite_erasures: Despite = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let connections go back to the version that they had before the last upgrade.

    Example: headrace connectors downgrade plant
    """
    from scheduler.connections.upgrading.step import Given  # noqa: PLC0415

    view = view_of(tenant, label, environment)
    wanted = _wanted(connection, system, view, everything=False, back=True)
    _go(wanted, Given(despite_erasures=despite_erasures), dry_run=dry_run, yes=yes, as_json=as_json)


def _wanted(
    names: list[str] | None, system: str | None, view: Mapping[str, Any], *, everything: bool, **where: Any
) -> _Wanted:
    filtered = system is not None or any(value is not None for value in view.values())
    if names and (filtered or everything):
        raise typer.BadParameter("Name connections, or say --system, --label, --tenant or --all; not both.")
    if not (names or filtered or everything):
        raise typer.BadParameter("Name connections, or say --system, --label, --tenant or --all.")
    return _Wanted(names or [], view, system, everything, **where)


def _go(wanted: _Wanted, given: "Given", *, dry_run: bool, yes: bool, as_json: bool) -> None:
    settings = command_settings()
    registry = open_registry(settings)
    with open_database(settings) as database:
        result = _plans(database, settings, registry, wanted, given)
        if not (result.planned or result.failed):
            raise NotFound("nothing_meant", "There is no such connection.")
        if not dry_run:
            if not yes:
                _confirm(result)
            _take(database, registry, result, given)
    if as_json:
        print_json(result_json(result, done=not dry_run))
    else:
        for line in lines_of(result, done=not dry_run):
            say(line)
    if result.failed or any(each.step.refused for each in result.planned):
        raise typer.Exit(Exit.FAILED)


def _plans(
    database: Database, settings: Settings, registry: Registry, wanted: _Wanted, given: "Given"
) -> Result:
    from scheduler.connections.upgrading.plan import plan  # noqa: PLC0415

    result = Result()
    for row in wanted.rows(database):
        try:
            target = wanted.target(registry, row)
            result.planned.append(plan(database, settings, registry, row, target, given=given))
        except InvalidInput as exc:
            result.failed.append((row["name"], exc))
    return result


def _take(database: Database, registry: Registry, result: Result, given: "Given") -> None:
    """One connection after the other: what can't be done for one is told, and holds up no other."""
    from scheduler.connections.editing.edit import Editor  # noqa: PLC0415
    from scheduler.connections.upgrading.step import take_step  # noqa: PLC0415

    editor = Editor(COMMAND_LINE)

    for each in result.planned:
        step = each.step
        if step.refused is None and step.changes:
            try:
                take_step(database, registry, step.row.id, step.target, given=given, editor=editor)
            except HeadraceError as exc:
                result.failed.append((step.row.name, exc))


def _confirm(result: Result) -> None:
    """Reading much again is asked for, and only of a person."""
    if not any(each.held for each in result.planned if each.step.refused is None):
        return
    for line in lines_of(result, done=False):
        note(clean(line))
    if not sys.stdin.isatty():
        note(
            "Error: records have to be read again, and nobody is there to be asked. Give --yes to do it all the same."
        )
        raise typer.Exit(Exit.USAGE)
    if not typer.confirm("Go on?", err=True):
        note("Nothing was changed.")
        raise typer.Exit(Exit.FAILED)


def _typed(text: str) -> Any:
    """true, false and whole numbers are what they look like."""
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 18 else text
