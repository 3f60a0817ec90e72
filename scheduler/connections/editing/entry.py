"""What would the connections file say of this row, and what with these changes? Pure.

A change names only what becomes different (a merge patch, RFC 7396): null takes a value away. What may stand on a
connection for all its streams, such as `history`, is a change of all of them when it stands there.
"""

from collections.abc import Collection, Mapping
from typing import Any

from scheduler.connections.current import CurrentConnection, CurrentStream
from scheduler.connections.file.export import FIELDS
from scheduler.connections.options.schedule import file_schedule, format_history
from scheduler.connections.options.table import OPTIONS, file_options

OF_ALL_STREAMS = ("schedule", "history", *(option.name for option in OPTIONS))
_FIXED = ("name", "system", "environment", "streams")
"""What a connection can't be without, so null is a mistake."""


def entry_of(row: CurrentConnection, known: Collection[str]) -> dict[str, Any]:
    """The row as a file would have it, but that each stream that its system has says everything itself."""
    entry: dict[str, Any] = {"name": row.name, "system": row.system, "environment": row.environment}
    for key in FIELDS:
        if value := getattr(row, key):
            entry[key] = dict(value) if isinstance(value, Mapping) else value
    entry["streams"] = {stream.name: stream_entry(stream) for stream in row.streams if stream.name in known}
    return entry


def stream_entry(stream: CurrentStream) -> dict[str, Any]:
    """The same of one stream."""
    return {
        "enabled": stream.enabled,
        "schedule": file_schedule(stream.schedule),
        "history": format_history(stream.history_days),
        **file_options(stream.options),
    }


def patched(entry: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with the changes. Nonsense stays in it, for the checks to find."""
    told = {key for key in OF_ALL_STREAMS if key in patch}
    streams = {name: _without(own, told) for name, own in entry["streams"].items()}
    result = {**entry, "streams": streams}
    for key, value in patch.items():
        if key == "streams" and isinstance(value, Mapping):
            result["streams"] = streams | {
                name: _merged(streams.get(name), own) for name, own in value.items()
            }
        elif isinstance(value, Mapping) and key not in OF_ALL_STREAMS:
            result[key] = _merged(result.get(key), value)
        elif value is None and key not in _FIXED and key in _KNOWN:
            result.pop(key, None)
        else:
            result[key] = value
    return result


_KNOWN = frozenset({*FIELDS, *OF_ALL_STREAMS})


def _merged(target: Any, patch: Any) -> Any:
    """One level: what stands below a name goes as a whole."""
    if not isinstance(patch, Mapping):
        return patch
    before = target if isinstance(target, Mapping) else {}
    return {key: value for key, value in {**before, **patch}.items() if value is not None}


def _without(own: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key not in keys}
