"""What would the connections file look like that describes exactly what is there?

Promises: applied to the same database, it changes nothing. It holds references to secrets and no secret.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from scheduler.connections.current import CurrentConnection, CurrentStream, read_current
from scheduler.connections.options.schedule import file_schedule, format_history
from scheduler.connections.options.table import file_options
from scheduler.connections.systems import stream_names_of
from worker.connectors.registry import Registry
from worker.db.database import Database

HEADER = """\
# The connections of this Headrace, as they are. `headrace apply` with this file changes nothing.
# Secrets are references: the values stay where they are.
"""
FIELDS = ("tenant", "budget", "labels", "settings", "secrets", "network")
"""What of a row a file says as it stands there."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def export_document(database: Database, registry: Registry | None = None) -> str:
    """The file's text. With the registry, streams that a connection no longer has are left out."""
    with database.transaction() as tx:
        current = read_current(tx)
    ids = _ids(current)
    connections = [_connection(row, ids[row.id], _known(row, registry)) for row in current]
    return HEADER + to_yaml({"version": 1, "connections": connections})


def to_yaml(data: Any) -> str:
    """YAML that `worker.parsing.documents` reads as the same data."""
    text = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**20
    )
    return str(text)


def _connection(row: CurrentConnection, file_id: str, known: frozenset[str] | None) -> dict[str, Any]:
    streams = [stream for stream in row.streams if known is None or stream.name in known]
    entry: dict[str, Any] = {
        "id": file_id,
        "name": row.name,
        "system": row.system,
        "environment": row.environment,
    }
    for key in FIELDS:
        if value := getattr(row, key):
            entry[key] = dict(value) if isinstance(value, Mapping) else value
    if streams:
        schedule = _most_common([file_schedule(stream.schedule) for stream in streams])
        history = _most_common([format_history(stream.history_days) for stream in streams])
        entry |= {"schedule": schedule, "history": history}
        own = {stream.name: _stream(stream, schedule, history) for stream in streams}
        if different := {name: values for name, values in own.items() if values}:
            entry["streams"] = different
    return entry


def _stream(stream: CurrentStream, schedule: Any, history: Any) -> dict[str, Any]:
    values: dict[str, Any] = {} if stream.enabled else {"enabled": False}
    if file_schedule(stream.schedule) != schedule:
        values["schedule"] = file_schedule(stream.schedule)
    if format_history(stream.history_days) != history:
        values["history"] = format_history(stream.history_days)
    return values | file_options(stream.options)


def _most_common(values: Sequence[Any]) -> Any:
    texts = Counter(json.dumps(value, sort_keys=True) for value in values)
    return json.loads(texts.most_common(1)[0][0])


def _known(row: CurrentConnection, registry: Registry | None) -> frozenset[str] | None:
    names = stream_names_of(registry, row.system, row.settings, row.manifest_version) if registry else None
    return None if names is None else frozenset(names)


def _ids(current: Sequence[CurrentConnection]) -> dict[int, str]:
    """The file's id, or one made from the name for a connection that no file made."""
    ids = {row.id: row.file_id for row in current if row.file_id is not None}
    taken = {(row.environment, row.file_id) for row in current}
    for row in current:
        if row.file_id is None:
            slug = re.sub(r"[^A-Za-z0-9._-]+", "-", row.name).strip("-._")[:50] or "connection"
            slug = f"c-{slug}" if slug.isdecimal() else slug
            made, number = slug, 1
            while (row.environment, made) in taken:
                number += 1
                made = f"{slug}-{number}"
            taken.add((row.environment, made))
            ids[row.id] = made
    return ids


class _Dumper(yaml.SafeDumper):
    """Text that could be taken for anything else is in quotes; no anchors, which the reader refuses."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
