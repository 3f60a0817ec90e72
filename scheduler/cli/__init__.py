"""The `headrace` command."""

from scheduler.cli.entry import main as main

__all__ = ["main"]
