"""What may the connections file say of a stream beyond its schedule and history? A table of options.

Each may stand on a connection, for all of its streams, and on a stream, whose word counts more. On the row they are one
JSON object by their names, in the form that the workers read: durations in seconds, and so on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.connections.options.keeping import (
    check_exclude,
    check_hash,
    file_keep,
    file_paths,
    parse_keep,
    parse_paths,
)
from scheduler.connections.options.looking_back import file_look_back, parse_look_back
from scheduler.connections.options.rounds import file_round
from scheduler.connections.options.sweeping import (
    file_delete_limit,
    parse_delete_limit,
    parse_sweep,
)
from scheduler.connections.options.verifying import parse_verify
from scheduler.connections.options.viewing import parse_models
from scheduler.connections.options.windows import file_windows, parse_windows
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


OPTIONS: tuple[Option, ...] = (
    Option("delete_limit", parse_delete_limit, file_delete_limit),
    Option("exclude", parse_paths, file_paths, check_exclude),
    Option("hash", parse_paths, file_paths, check_hash),
    Option("keep_versions", parse_keep, file_keep),
    Option("look_back", parse_look_back, file_look_back),
    Option("materialise"),
    Option("models", parse_models),
    Option("poll"),
    Option("sweep", parse_sweep, file_round),
    Option("verify", parse_verify, file_round),
    Option("windows", parse_windows, file_windows),
)


def file_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """As the connections file writes them; what this version doesn't know is left out."""
    return {option.name: option.format(options[option.name]) for option in OPTIONS if option.name in options}
