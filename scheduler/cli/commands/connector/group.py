"""`headrace connector …`: what one does with a connector that one writes."""

import typer

from scheduler.cli.commands.connector.check import check
from scheduler.cli.listing import Sentences


def register(app: typer.Typer) -> None:
    """Add the commands to `headrace`."""
    group = typer.Typer(
        no_args_is_help=True, cls=Sentences, help="Make, try and check a connector of your own."
    )
    group.command()(check)
    app.add_typer(group, name="connector")
