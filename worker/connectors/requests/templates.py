"""What do templates of JSON become? Values in the place of `{names}`, with their types where a text is nothing but one.

    {"limit": "{size}", "note": "since {value}"}   with size 100   ->   {"limit": 100, "note": "since …"}

A name that has no value yet stays as it is, for whoever fills it later; one whose value is missing takes its field, or its
element of a list, with it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from worker.connectors.manifest.templates import as_text

NAME = re.compile(r"\{([a-z][a-z0-9_]*|[0-9]{1,2})\}")
MISSING: Any = object()
"""What stands for a value that isn't given."""


def names_of(template: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every name in a template, and where it stands."""
    if isinstance(template, str):
        yield from (((), name) for name in NAME.findall(template))
    elif isinstance(template, Mapping):
        for key, value in template.items():
            yield from (((key, *path), name) for path, name in names_of(value))
    elif isinstance(template, list):
        for number, value in enumerate(template):
            yield from (((number, *path), name) for path, name in names_of(value))


def fill_json(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with the values that there are; `MISSING` where a value that it needs is None."""
    if isinstance(template, str):
        return _filled(template, values)
    if isinstance(template, Mapping):
        filled = {key: fill_json(value, values) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not MISSING}
    if isinstance(template, list):
        return [value for item in template if (value := fill_json(item, values)) is not MISSING]
    return template


def fill_text(template: str, values: Mapping[str, Any], quote: str = "") -> str:
    """The text with the values that there are. `quote` is a mark that stands doubled inside of a value."""

    def said(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        text = as_text(values[match[1]])
        return text.replace(quote, quote * 2) if quote else text

    return NAME.sub(said, template)


def _filled(text: str, values: Mapping[str, Any]) -> Any:
    if (whole := NAME.fullmatch(text)) is not None:
        if whole[1] not in values:
            return text
        value = values[whole[1]]
        return MISSING if value is None else value
    if any(values.get(name, "") is None for name in NAME.findall(text)):
        return MISSING
    return fill_text(text, values)


def typed(text: str) -> Any:
    """What somebody writes for a value of JSON: digits, true and false mean what they look like; in quotes they are text."""
    try:
        found = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return text
    return found if isinstance(found, bool | int | str) else text
