"""Which fields changed at the systems, and does somebody know? The reads behind the command line and the API."""

from collections.abc import Mapping
from typing import Any

from psycopg.rows import DictRow

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.view import EVERYTHING, View
from worker.db.database import Database
from worker.db.queries import load_queries

sql = load_queries("scheduler.proof", "drift.sql")


def drifted(
    database: Database,
    *,
    connection_id: int | None = None,
    stream_id: int | None = None,
    after: tuple[int, list[str]] = (0, []),
    limit: int | None = None,
    view: View = EVERYTHING,
) -> list[DictRow]:
    """Fields that appeared, vanished or changed their type, until somebody accepts them; from behind a stream and path."""
    params = {"connection": connection_id, "stream": stream_id, "limit": limit, **view}
    params |= {"after_stream": after[0], "after_path": after[1]}
    return database.filtered(sql.drifted_fields, params)


def fields_of(database: Database, stream_id: int) -> list[DictRow]:
    """Every field of a stream."""
    return database.all(sql.fields_of, {"stream": stream_id})


def accept(
    database: Database,
    connection: Mapping[str, Any],
    stream: Mapping[str, Any],
    *,
    actor: Actor = COMMAND_LINE,
) -> int:
    """Take note of what changed; how many fields that were."""
    with database.transaction() as tx:
        fields = tx.execute(sql.accept_fields, {"stream": stream["id"]}).rowcount
        detail = {"stream": stream["name"], "fields": fields}
        note_act(tx, actor, "fields.accept", connection["name"], about=connection, detail=detail)
    return fields


def what_happened(row: DictRow) -> str:
    """`was integer, is text now too`."""
    if row["state"] == "retyped":
        return f"was {' or '.join(_plain(row['was'] or []))}, now also {' or '.join(_added(row))}"
    if row["state"] == "vanished":
        return f"not in the last {row['missed']:,} records that were looked at"
    if row["state"] == "new":
        types = _plain(row["types"])
        return row["example"] if len(types) == 1 and row["example"] else " or ".join(types)
    return " or ".join(row["types"])


def _plain(types: list[str]) -> list[str]:
    return [kind for kind in types if kind != "null"] or ["nothing"]


def _added(row: Any) -> list[str]:
    return [kind for kind in _plain(row["types"]) if kind not in (row["was"] or [])] or _plain(row["types"])
