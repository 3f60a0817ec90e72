"""How does a connection look from outside? As its entry in a file would, with its number, its times and whose it is.

The names are a contract: fields are added, never changed or removed. Of secrets there are references only.
"""

from collections.abc import Mapping
from typing import Any

from scheduler.connections.current import CurrentConnection
from scheduler.connections.editing.edit import known_streams, queries, read_one
from scheduler.connections.editing.entry import entry_of, stream_entry
from scheduler.connections.file.export import FIELDS
from scheduler.connections.file.secrecy import secret_paths
from scheduler.connections.transactions import execute
from worker.connectors.registry import Registry
from worker.db.database import Database

_EMPTY: Mapping[str, Any] = {"tenant": None, "budget": None}
HIDDEN = "•••"


def read_shown(database: Database, registry: Registry, connection_id: int) -> dict[str, Any]:
    """The connection as it is now, or `NotFound`."""
    with database.transaction() as tx:
        row = read_one(tx, connection_id)
        times = execute(tx, queries.read_times, {"id": connection_id})[0]
    return shown(row, times, registry)


def shown(row: CurrentConnection, times: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """The same of a row that was read. What is edited elsewhere than in Headrace, such as its last runs, isn't in it."""
    entry = entry_of(row, known_streams(registry, row))
    fields = {key: entry.get(key, _EMPTY.get(key, {})) for key in FIELDS}
    fields["settings"] = _without_secrets(fields["settings"])
    return {
        "id": row.id,
        **{key: entry[key] for key in ("name", "system", "environment")},
        **fields,
        "file": row.file_id,
        "paused": row.paused,
        "disconnected": times["disconnected_at"] is not None,
        **{key: times[key] for key in ("paused_at", "created_at", "updated_at")},
        "streams": {stream.name: stream_entry(stream) for stream in row.streams},
    }


def _without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What sounds like one is refused, but may have been stored by an older version or by hand."""
    hidden = {path[0] for path in secret_paths(settings)}
    return {name: HIDDEN if name in hidden else value for name, value in settings.items()}
