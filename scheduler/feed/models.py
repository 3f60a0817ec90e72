"""What do the unified models hold, across connections? The reads behind `GET /v1/models/{model}`.

Pages go by the feed: a page's records are found by their places in it, which never lie behind what was given out, however
late a transaction commits; then each is read through its mapping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import set_json_loads

from scheduler.connections.resolve import find_connection
from scheduler.connections.view import EVERYTHING, View
from worker.connectors.manifest.views.canonical import MODELS, Model
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import NotFound
from worker.feed.position import Position
from worker.feed.reading import Transaction, Wanted, read_changes
from worker.parsing.documents import suggest
from worker.parsing.sent_json import read_sent
from worker.views.sql import models as compiled
from worker.views.sql.models import Branch
from worker.views.sql.quoting import array
from worker.views.sql.records import Place

sql = load_queries("scheduler.feed", "models.sql")

_HIDDEN = frozenset({"change_xid", "change_seq"})


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Records of a model in the order of their changes; `next` is where to go on, `more` whether there is more now."""

    records: Sequence[Mapping[str, Any]]
    next: Position
    more: bool


def find_model(name: str) -> Model:
    """The model, or `NotFound` with the nearest name."""
    if name not in MODELS:
        raise NotFound("unknown_model", f"There is no model {name!r}.", hint=suggest(name, MODELS) or None)
    return MODELS[name]


def read_model(
    database: Database,
    model: Model,
    after: Position | None,
    *,
    connection: str | None = None,
    updated_after: datetime | None = None,
    limit: int,
    view: View = EVERYTHING,
) -> ModelPage:
    """The page that follows a position, of what `view` shows; None begins with all that there is."""
    only = None if connection is None else find_connection(database, connection, view)["id"]
    by_id: dict[int, Mapping[str, Any]] = {}

    def mapped(tx: Transaction) -> Wanted:
        rows = tx.execute(sql.streams_of_model, {"model": model.name, "connection": only, **view}).fetchall()
        by_id.update({row["stream_id"]: row for row in rows})
        return Wanted(list(by_id), [row["bucket"] for row in rows], content=False, view=view)

    page = read_changes(database, after, mapped, limit=limit)
    keys: dict[int, list[str]] = {}
    for change in page.changes:
        keys.setdefault(change["stream_id"], []).append(change["key"])
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for stream, listed in keys.items():
        for record in _records(database, by_id[stream], model, listed):
            found[stream, record["remote_id"]] = record
    places = [(change["stream_id"], change["key"]) for change in page.changes]
    records = [found[place] for place in places if place in found]
    if updated_after is not None:
        records = [record for record in records if record["synced_at"] > updated_after]
    return ModelPage(records, page.next, page.more)


def _records(
    database: Database, stream: Mapping[str, Any], model: Model, keys: list[str]
) -> list[dict[str, Any]]:
    place = Place(stream["bucket"], stream["stream_id"])
    text = _only(compiled.of_stream(Branch.loaded(stream["branch"]), place, stream["connection_id"]), keys)
    rows = _read(database, text)
    lines: dict[str, list[dict[str, Any]]] = {}
    if model.lines:
        for row in _lines(database, stream, keys):
            lines.setdefault(row["parent_remote_id"], []).append(row)
    return [_shown(row, model, lines) for row in rows]


def _lines(database: Database, stream: Mapping[str, Any], keys: list[str]) -> list[dict[str, Any]]:
    """Those in the record, or those of the stream that holds them."""
    if stream["lines"] is not None:
        place = Place(stream["bucket"], stream["stream_id"])
        text = compiled.of_stream(Branch.loaded(stream["lines"]), place, stream["connection_id"])
        return _read(database, _only(text, keys))
    found: list[dict[str, Any]] = []
    for row in database.all(
        sql.lines_of_model, {"model": stream["model"], "connection": stream["connection_id"]}
    ):
        place = Place(row["bucket"], row["stream_id"])
        text = compiled.of_stream(Branch.loaded(row["lines"]), place, stream["connection_id"])
        found += _read(database, f"SELECT * FROM ({text}) v WHERE v.parent_remote_id = ANY ({array(keys)})")  # noqa: S608
    return [row for row in found if row["remote_deleted_at"] is None]


def _read(database: Database, text: str) -> list[dict[str, Any]]:
    """Rows of what systems sent: whatever that is, a reader must get past it."""
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.adapters.register_loader("timestamptz", _TimeLoader)
        set_json_loads(read_sent, cursor)
        return cursor.execute(text).fetchall()


class _TimeLoader(TimestamptzLoader):
    """None for a time that Postgres has and Python hasn't: year 1 where it is a day earlier in UTC, year 10000."""

    def load(self, data: Buffer) -> datetime | None:  # type: ignore[override]
        try:
            return super().load(data)
        except psycopg.DataError:
            return None


def _only(text: str, keys: list[str]) -> str:
    return f"{text} AND r.key = ANY ({array(keys)})"


def _shown(row: Mapping[str, Any], model: Model, lines: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    shape = {name: value for name, value in row.items() if name not in _HIDDEN}
    if model.lines:
        own = lines.get(row["remote_id"], [])
        shape["lines"] = [
            {name: value for name, value in line.items() if name in model.lines or name == "raw"}
            for line in own
        ]
    return shape
