"""What does docs/commands.md say? Written from the commands themselves, so that it can't say anything else.

`python -P -m scheduler.cli.pages.commands > docs/commands.md`
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from scheduler.cli.entry import whole_app
from scheduler.cli.errors import EXIT_CODES

INTRODUCTION = """\
# Commands

Everything is done with `headrace`. A plural noun alone lists (`headrace runs`); a noun and a verb do something to one of
them (`headrace runs cancel ID`). Wherever a connection is named, its name, the id that the connections file gives it, or
its number will do, and `live/NAME` or `test/NAME` where both environments have one of that name. Of a run's id the
beginning is enough.

On a terminal you get tables, with `--json` the same as JSON: times in UTC, everything complete. What isn't the result
itself (progress, notes, errors) goes to stderr, so stdout can be piped on.

Settings come from `HEADRACE_…` variables, see [settings](settings.md). Where `headrace up` runs, other commands find its
database and broker through `HEADRACE_HOME` (default: `.headrace` in the current folder).

This page is written from the commands: `python -P -m scheduler.cli.pages.commands > docs/commands.md`.
"""


def reference() -> str:
    """The whole page."""
    exits = "".join(f"| {int(code)} | {words} |\n" for code, words in EXIT_CODES.items())
    text = f"""{INTRODUCTION}
## Exit codes

| code | meaning |
|---|---|
{exits}
An error is one sentence on stderr: where, what is wrong, what to do next. With `--json` it is an object with a stable
`code`. `HEADRACE_LOG_LEVEL=DEBUG` adds the traceback.
"""
    root: Any = typer.main.get_command(whole_app())
    return text + "".join(_sections(root, "headrace"))


def _sections(command: Any, path: str) -> Iterator[str]:
    for name, child in command.commands.items():
        if child.hidden:
            continue
        child_path = f"{path} {name}"
        if getattr(child, "invoke_without_command", True):
            yield _section(child, child_path)
        if hasattr(child, "commands"):
            yield from _sections(child, child_path)


def _section(command: Any, path: str) -> str:
    help_text, _, example = (command.help or "").partition("Example:")
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join([path, *(_argument(param) for param in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"\n## {path}\n", f"\n    {usage}\n", f"\n{help_text.strip()}\n"]
    if arguments or options:
        lines.append("\n| | |\n|---|---|\n")
        lines += [f"| `{_argument(param)}` | {param.help or ''} |\n" for param in arguments]
        lines += [f"| {_names(param)} | {param.help or ''}{_default(param)} |\n" for param in options]
    return "".join([*lines, f"\n    {example.strip()}\n" if example else ""])


def _argument(param: Any) -> str:
    name = param.name.upper()
    return name if param.required else f"[{name}]"


def _names(param: Any) -> str:
    value = "" if param.is_flag else f" {param.metavar or _value(param)}"
    return ", ".join(f"`{name}{value}`" for name in (*param.opts, *param.secondary_opts))


def _value(param: Any) -> str:
    """What stands for an option's value, where nobody gave it a name."""
    kind = param.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, int | float):
        return "N"
    return "PATH" if kind is Path else str(param.opts[0]).lstrip("-").upper()


def _default(param: Any) -> str:
    plain = isinstance(param.default, str | int) and not isinstance(param.default, bool)
    return f" Default: {param.default}." if plain and param.default != "" else ""


if __name__ == "__main__":
    sys.stdout.write(reference())
