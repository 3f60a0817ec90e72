"""`headrace connector …`: what one does with a connector that one writes."""

import typer

from scheduler.cli.commands.connector.check import check
from scheduler.cli.commands.connector.making import from_openapi, new
from scheduler.cli.commands.connector.recording import record
from scheduler.cli.commands.connector.trying import try_
from scheduler.cli.listing import Sentences


def register(app: typer.Typer) -> None:
    """Add the commands to `headrace`."""
    group = typer.Typer(
        no_args_is_help=True, cls=Sentences, help="Make, try and check a connector of your own."
    )
    group.command()(new)
    group.command("from-openapi")(from_openapi)
    group.command("try")(try_)
    group.command()(record)
    group.command()(check)
    app.add_typer(group, name="connector")
