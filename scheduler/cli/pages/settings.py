"""What does docs/settings.md say? Everything that the Settings class says, so that the page can't go stale unnoticed.

`python -P -m scheduler.cli.pages.settings > docs/settings.md`
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from worker.config import Settings

HEAD = """\
# Settings

<!-- Written by `make docs` from worker/config.py: change it there. -->

Every setting is a variable of the environment. A wrong value stops the start, with the name of the variable. Durations
are in seconds.

A value is looked for in this order: the environment, then `endpoints.json` in the home, which `headrace up` writes for
the servers that it started itself, then the default. `headrace up --port` and `--home` count before the environment. There
is no settings file and no `.env` file.

| variable | type | default | what it does |
|---|---|---|---|
"""

_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
_NAMES = {
    Path: "path",
    SecretStr: "text, secret",
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
}


def settings_markdown() -> str:
    """The page, from the fields of `Settings`, in their order."""
    prefix = Settings.model_config["env_prefix"]
    return HEAD + "".join(_row(prefix, name, field) for name, field in Settings.model_fields.items())


def _row(prefix: str, name: str, field: FieldInfo) -> str:
    bounds = ", ".join(_bounds(field))
    cells = (
        f"`{prefix}{name.upper()}`",
        f"{_type(field.annotation)}{f', {bounds}' if bounds else ''}",
        _default(field.default),
        " ".join((field.description or "").split()),
    )
    escaped = " | ".join(cell.replace("|", "\\|") for cell in cells)
    return f"| {escaped} |\n"


def _bounds(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for attribute, words in _BOUNDS.items():
            if (bound := getattr(constraint, attribute, None)) is not None:
                yield words.format(bound)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in {Union, UnionType}:
        return _type(next(part for part in arguments if part is not type(None)))
    if origin is tuple:
        return f"{_type(arguments[0])}s"
    return _NAMES[annotation]


def _default(value: Any) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_markdown())
