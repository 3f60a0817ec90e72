"""Which events came, and what was not taken? Lists, put together from filters, so that each set of them has a plan of its own."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from sqlalchemy import Select, Table, func, select

from scheduler.connections.few import few
from scheduler.connections.view import EVERYTHING, View, seen
from worker.db.database import Database, database_errors
from worker.db.newest import newest_of_each
from worker.db.tables import connections, streams
from worker.db.tables.events import events, webhook_refusals

_EVENT = (
    "id", "kind", "key", "type", "event_key", "said_at", "received_at", "request_id", "state", "run_id", "attempts",
    "outcome", "error", "done_at", "not_before",
)  # fmt: skip
_REFUSAL = ("id", "name", "reason", "words", "headers", "body", "request_id")


def list_events(
    database: Database,
    *,
    connection_id: int | None = None,
    stream_id: int | None = None,
    key: str | None = None,
    state: str | None = None,
    before: UUID | None = None,
    limit: int,
    view: View = EVERYTHING,
) -> list[DictRow]:
    """The newest first, from behind `before`."""
    filters = {"connection_id": connection_id, "stream_id": stream_id, "key": key, "state": state}
    rows = select(*(events.c[name] for name in (*_EVENT, "connection_id", "stream_id")))
    page = _page(database, events, rows, filters, before=before, limit=limit, view=view).subquery("e")
    return _read(
        database,
        select(
            *(page.c[name] for name in _EVENT),
            connections.c.name.label("connection"),
            page.c.connection_id,
            streams.c.name.label("stream"),
        )
        .select_from(
            page.join(connections, connections.c.id == page.c.connection_id).outerjoin(
                streams, streams.c.id == page.c.stream_id
            )
        )
        .order_by(page.c.id.desc())
        .limit(limit),
    )


def list_refusals(
    database: Database,
    *,
    connection_id: int | None = None,
    before: UUID | None = None,
    limit: int,
    view: View = EVERYTHING,
) -> list[DictRow]:
    """What was not taken, the newest first. What came for a name that nobody has is not anybody's to see."""
    filters = {"connection_id": connection_id}
    source = func.host(webhook_refusals.c.source).label("source")
    rows = select(*(webhook_refusals.c[name] for name in (*_REFUSAL, "connection_id")), source)
    page = _page(database, webhook_refusals, rows, filters, before=before, limit=limit, view=view).subquery(
        "r"
    )
    return _read(
        database,
        select(
            *(page.c[name] for name in (*_REFUSAL, "connection_id", "source")),
            connections.c.name.label("connection"),
        )
        .select_from(page.join(connections, connections.c.id == page.c.connection_id))
        .order_by(page.c.id.desc())
        .limit(limit),
    )


def _page(
    database: Database,
    table: Table,
    rows: Select[Any],
    filters: Mapping[str, Any],
    *,
    before: UUID | None,
    limit: int,
    view: View,
) -> Select[Any]:
    """The newest of those that fit and are seen; of few connections those of each."""
    for column, value in filters.items():
        if value is not None:
            rows = rows.where(table.c[column] == value)
    if before is not None:
        rows = rows.where(table.c.id < before)
    rows = rows.order_by(table.c.id.desc()).limit(limit)
    only = few(database, view)
    if only is not None and filters["connection_id"] is None:
        return newest_of_each(rows, table.c.connection_id, only)
    return rows.join_from(table, connections, connections.c.id == table.c.connection_id).where(seen(view))


def _read(database: Database, statement: Select[Any]) -> list[DictRow]:
    with database_errors(), database.engine.connect() as db:
        rows: Sequence[Mapping[Any, Any]] = db.execute(statement).mappings().all()
        return [{str(name): value for name, value in row.items()} for row in rows]
