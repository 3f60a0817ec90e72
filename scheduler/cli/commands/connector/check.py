"""`headrace connector check`: does a connector keep its promises?"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, clean, note, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from worker.errors import InvalidInput

if TYPE_CHECKING:
    from scheduler.connectors.check.outcome import Outcome
    from scheduler.connectors.check.report import Report

WORDS = {"failed": "is broken", "faulty": "can't be tried: the double failed"}


def check(
    folder: Annotated[Path, typer.Argument(help="The folder of the system, with its manifest.yaml.")],
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="This check alone; may be repeated.")
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="This stream alone; may be repeated.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Each check with each stream, also with those that are alike.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option("--write", help="Put the report into this README, between its marks.")
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(
            "--live",
            help="A connection of this system: its account is asked, reading only, instead of a double.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask the account without asking you.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a connector against a double that plays its system (double.py beside the manifest), or as far as it goes without.

    Example: headrace connector check connectors/pumps --write connectors/pumps/README.md
    """
    from scheduler.connectors.check.checking import check_folder  # noqa: PLC0415 - brings the means to send
    from scheduler.connectors.check.report import embedded  # noqa: PLC0415
    from scheduler.connectors.check.suite import Choice, checks_named  # noqa: PLC0415

    command_settings()
    choice = Choice(checks_named(only or ()), stream or (), all_kinds=every)
    if write is not None and (only or stream or live):
        raise typer.BadParameter("--write goes with all checks and all streams, against a double.")

    def told(outcome: "Outcome") -> None:
        if not as_json and outcome.mark in WORDS:
            note(f"{outcome.check}{f' ({outcome.stream})' if outcome.stream else ''} {WORDS[outcome.mark]}")

    if live is None:
        report = check_folder(folder, choice=choice, told=told)
    else:
        report = _ask_account(folder, live, stream or (), yes=yes)
    if write is not None:
        readme = write.read_text(encoding="utf-8") if write.exists() else f"# {report.system}\n"
        write.write_text(embedded(readme, report.markdown()), encoding="utf-8")
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    if report.faulty:
        raise typer.Exit(Exit.USAGE)
    if not report.kept:
        raise typer.Exit(Exit.FAILED)


def _ask_account(folder: Path, connection: str, streams: Sequence[str], *, yes: bool) -> "Report":
    from scheduler.connectors.check.connection import check_connection  # noqa: PLC0415

    settings = command_settings()
    with open_database(settings) as database:
        return check_connection(
            database, settings, folder, connection, streams=streams, may=lambda most: yes or _may_ask(most)
        )


def _may_ask(most: int) -> bool:
    """Only a person can say so, who is told how much it may cost."""
    if not sys.stdin.isatty():
        raise InvalidInput(
            "needs_yes", f"It may take {most} requests of the account. Give --yes to allow them."
        )
    return typer.confirm(
        f"It may take up to {most} requests of the account, which only read. Go on?", err=True
    )


def _show(report: "Report") -> None:
    print_table(("CHECK", "", "STREAMS", "SEEN"), report.cells(), empty="Nothing was checked.")
    for failure in report.failures():
        say("")
        for line in failure.splitlines():
            say(clean(line))
    say("")
    say(f"{report.summary} Checked against {report.checked_against}.")
