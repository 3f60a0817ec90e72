"""The command that tries the references to secrets, and shows nothing of what is behind them."""

import typer

from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, print_json, print_table
from scheduler.cli.session import command_settings, open_database
from scheduler.health.references import Checked, check_references

group = typer.Typer(
    cls=Sentences,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="References to secrets, and where they lead.",
)


def register(app: typer.Typer) -> None:
    """Add the commands to `headrace`."""
    app.add_typer(group, name="secrets")


@group.command("check")
def check(*, as_json: AsJson = False) -> None:
    """Open each reference as its store has it now, and say which lead to a value. Not a byte of it is shown.

    Run it where the workers run: they open secrets with their own environment, files and log-ins. Ends with 1 where one
    can't be opened.

    Example: headrace secrets check
    """
    settings = command_settings()
    with open_database(settings) as database:
        checked = list(check_references(database, settings))
    if as_json:
        print_json([each.as_json() for each in checked])
    else:
        print_table(
            ["held by", "name", "reference", "opens", "written", "problem"],
            ([each.holder, each.name, each.reference, *_words(each)] for each in checked),
            empty="No connection, subscription or setting refers to a secret.",
        )
    if not all(each.opens for each in checked):
        raise typer.Exit(1)


def _words(checked: Checked) -> list[str]:
    if not checked.opens:
        return ["no", "", " ".join(filter(None, (checked.problem, checked.hint)))]
    return ["yes", "can be" if checked.writable else "read only", ""]
