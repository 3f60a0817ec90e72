"""What may the connections file say of a stream beyond its schedule and history? A table of options.

Each may stand on a connection, for all of its streams, and on a stream, whose word counts more. On the row they are one
JSON object by their names, in the form that the workers read: durations in seconds, and so on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.contract import Stream


def _as_it_is(value: Any) -> Any:
    return value


def _fits_all(value: Any, stream: Stream) -> None:
    del value, stream


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the file; the schema has said already what kind of value it holds."""

    name: str
    parse: Callable[[Any], Any] = _as_it_is
    """The file's value as it stands on the row. Raises `InvalidInput`, whose `place` is a field within the value."""
    format: Callable[[Any], Any] = _as_it_is
    """The other way round, for the exported file."""
    check: Callable[[Any, Stream], None] = _fits_all
    """Raises `InvalidInput` where the parsed value can't be had of this stream."""


OPTIONS: tuple[Option, ...] = ()


def file_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """As the connections file writes them; what this version doesn't know is left out."""
    return {option.name: option.format(options[option.name]) for option in OPTIONS if option.name in options}
