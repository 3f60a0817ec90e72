"""With which code does a command end, and how does it say what went wrong?

One sentence on stderr: where, what is wrong, what to do next. The traceback is for HEADRACE_LOG_LEVEL=DEBUG.
"""

import json
import sys
import traceback
from enum import IntEnum

import typer

from worker.config import load_settings
from worker.errors import HeadraceError, InvalidInput, NotFound, Transient
from worker.telemetry.redaction import redactor


class Exit(IntEnum):
    """Every exit code there is."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    DRIFT = 5
    INTERRUPTED = 130


EXIT_CODES: dict[Exit, str] = {
    Exit.OK: "It was done.",
    Exit.FAILED: "What was asked for failed: a run failed, a check found something wrong.",
    Exit.USAGE: "The command, a setting or a file is wrong. Nothing was changed.",
    Exit.NOT_FOUND: "Nothing has the name or id that was given.",
    Exit.UNREACHABLE: "Something that is needed isn't running or can't be reached: database, broker, system.",
    Exit.DRIFT: "The copy differs from its source: `headrace verify` found something missing, extra or different.",
    Exit.INTERRUPTED: "Interrupted from the keyboard.",
}
"""The table of docs/commands.md."""

_NEEDED_ELSEWHERE = {"no_database", "no_broker", "broker_unavailable", "not_started"}
_UNREADABLE = {"malformed_page", "paging_stuck"}
"""The system was reached, and what it said isn't what the connector expects."""

USAGE_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for a wrong command line: all kinds of it."""


def exit_code(error: HeadraceError) -> Exit:
    """The code that an error ends a command with."""
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, InvalidInput):
        return Exit.USAGE
    if error.code in _UNREADABLE:
        return Exit.FAILED
    if isinstance(error, Transient) or error.code in _NEEDED_ELSEWHERE:
        return Exit.UNREACHABLE
    return Exit.FAILED


def say_error(error: HeadraceError, *, as_json: bool) -> Exit:
    """Write the sentence to stderr, or an object with the code where the caller reads JSON."""
    if wants_traceback():
        _print_traceback(error)
    if as_json:
        place = getattr(error, "place", None)
        fields = {"code": error.code, "message": error.message, "place": place, "hint": error.hint}
        text = json.dumps({"error": {key: value for key, value in fields.items() if value is not None}})
    else:
        text = f"Error: {error}"
    sys.stderr.write(redactor.redact(text) + "\n")
    return exit_code(error)


def say_usage(error: Exception) -> Exit:
    """The same for a wrong command line, with the way to its help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "headrace"
    message = str(getattr(error, "format_message", lambda: error)())
    sys.stderr.write(f"Error: {message.rstrip('.')}. See `{path} --help`.\n")
    return Exit.USAGE


def say_unexpected(error: Exception) -> Exit:
    """A fault of ours, or of the machine."""
    if wants_traceback():
        _print_traceback(error)
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        sys.stderr.write("Error: what was given is no text: it isn't UTF-8.\n")
        return Exit.USAGE
    words = redactor.redact(str(error)) or "no words"
    if isinstance(error, OSError):
        sys.stderr.write(f"Error: {words}.\n")
    else:
        sys.stderr.write(
            f"Error: something went wrong that Headrace doesn't know ({type(error).__name__}: {words}). "
            "Run it again with HEADRACE_LOG_LEVEL=DEBUG for the traceback, and please report it.\n"
        )
    return Exit.FAILED


def _print_traceback(error: Exception) -> None:
    """What others raise may repeat what was sent to them."""
    sys.stderr.write(redactor.redact("".join(traceback.format_exception(error))))


def wants_traceback() -> bool:
    """Whether the person asked for tracebacks; wrong settings are no reason to show one."""
    try:
        return load_settings().log_level == "DEBUG"
    except HeadraceError:
        return False
