"""How does a command line become a command, and its end an exit code?

Modules of commands are light to import; what is heavy (Celery, FastAPI, Flower) is imported by the command that needs
it.
"""

import os
import sys
from collections.abc import Sequence

import typer

from scheduler.cli.commands import connections, demo, doctor, files, pausing, start
from scheduler.cli.commands.access import audit, secrets, tokens
from scheduler.cli.commands.connector import group as connector
from scheduler.cli.commands.consent import connect, discovering, trial
from scheduler.cli.commands.copy import erase, export, records, storage, views
from scheduler.cli.commands.feed import changes, subscriptions
from scheduler.cli.commands.proof import deletes, drift, explain, quarantine, verify
from scheduler.cli.commands.runs import cursors, history, resync, run_changes, runs
from scheduler.cli.commands.systems import connectors, systems, taps
from scheduler.cli.commands.webhooks import webhooks
from scheduler.cli.errors import USAGE_ERRORS, Exit, say_error, say_unexpected, say_usage
from scheduler.cli.listing import Sections
from worker.errors import HeadraceError

EPILOG = (
    "Settings come from HEADRACE_… variables (docs/settings.md). Exit codes are listed in docs/commands.md."
)

app = typer.Typer(
    name="headrace",
    help="Keep a Postgres copy of your maintenance, purchasing and warehouse systems, fresh and right.",
    epilog=EPILOG,
    cls=Sections,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (
    start, files, connections, pausing, connect, trial, discovering, runs, history, resync, records, views, export, cursors, changes, subscriptions, deletes, verify, explain, quarantine, drift, run_changes,
    erase, storage, doctor, demo, tokens, audit, secrets, webhooks, connector, systems, connectors, taps,
):  # fmt: skip
    module.register(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
) -> None:
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - rarely asked

        sys.stdout.write(f"headrace {installed('headrace')}\n")
        raise typer.Exit
    del context


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; its exit code."""
    try:
        code = app(args=list(arguments), prog_name="headrace", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except SystemExit:
        if type(sys.stdout).__name__ != "PacifyFlushWrapper":
            raise
        return _reader_left()  # typer saw the broken pipe before us
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the last door before a traceback
        return _say(exc, as_json="--json" in arguments)
    return code if isinstance(code, int) else Exit.OK


def _say(error: Exception, *, as_json: bool) -> int:
    if isinstance(error, USAGE_ERRORS):
        return say_usage(error)
    if isinstance(error, HeadraceError):
        return say_error(error, as_json=as_json)
    return say_unexpected(error)


def _reader_left() -> int:
    """`headrace records … | head` has what it wanted. The interpreter must not complain about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return Exit.OK
