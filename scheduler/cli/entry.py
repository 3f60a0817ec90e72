"""How does a command line become a command, and its end an exit code?

Loading all commands takes longer than most of them work, so only the module of the one that is asked for is loaded, and
all of them where they are listed. What is heavy beyond that (Celery, FastAPI, Flower) is imported by the command that
needs it.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import typer

from scheduler.cli.errors import USAGE_ERRORS, Exit, say_error, say_unexpected, say_usage
from scheduler.cli.listing import SECTIONS, Sections
from worker.errors import HeadraceError

EPILOG = (
    "Settings come from HEADRACE_… variables (docs/settings.md). Exit codes are listed in docs/commands.md."
)

MODULES = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


def whole_app() -> typer.Typer:
    """`headrace` with all of its commands."""
    return _app_of(dict.fromkeys(MODULES.values()))


@cache
def _command_of(word: str) -> Any:
    """`headrace` with what this word names; with all commands where it names none."""
    alone = {**{name: [module] for name, module in MODULES.items()}, "--version": []}
    return typer.main.get_command(_app_of(alone[word]) if word in alone else whole_app())


def _app_of(modules: Iterable[str]) -> typer.Typer:
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
    app.callback(invoke_without_command=True)(_root)
    for module in modules:
        import_module(f"scheduler.cli.commands.{module}").register(app)
    return app


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
        command = _command_of(next(iter(arguments), ""))
        code = command.main(args=list(arguments), prog_name="headrace", standalone_mode=False)
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
