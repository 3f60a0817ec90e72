"""`headrace sync` and `headrace runs …`: ask for a run, and see what became of it."""

import typer

from scheduler.cli.commands.runs.run_changes import changes
from scheduler.cli.commands.runs.runs import cancel, runs, show
from scheduler.cli.commands.runs.sync import sync
from scheduler.cli.listing import Sentences


def register(app: typer.Typer) -> None:
    """Add the commands to `headrace`."""
    group = typer.Typer(cls=Sentences, invoke_without_command=True, rich_markup_mode=None)
    group.callback()(runs)
    group.command("show")(show)
    group.command("cancel")(cancel)
    group.command("changes")(changes)
    app.command()(sync)
    app.add_typer(group, name="runs")
