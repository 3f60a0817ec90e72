"""What was given as NAME=VALUE?"""

from collections.abc import Iterable

import typer


def pairs(given: Iterable[str] | None, option: str, value: str = "VALUE") -> dict[str, str]:
    """Names and values; each name once. Without repeating what was given: it may be a secret."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, said = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{option} is NAME={value}.")
        if name in found:
            raise typer.BadParameter(f"{option} gives {name} twice.")
        found[name] = said
    return found
