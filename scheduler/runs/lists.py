"""Which runs are there, and what became of them? The reads behind the command line and the API.

Of a run's id the beginning is enough where it is the only one that begins so.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy
from psycopg.rows import DictRow
from sqlalchemy import Select, Subquery, Table, null, select

from scheduler.connections.few import few
from scheduler.connections.view import EVERYTHING, View, seen
from worker.db.database import Database, database_errors
from worker.db.newest import newest_of_each
from worker.db.queries import load_queries
from worker.db.tables import connections, run_history, runs, streams
from worker.errors import InvalidInput, NotFound
from worker.runs.states import OPEN, State

sql = load_queries("scheduler.runs", "lists.sql")

SHORT_ID = 18
"""So much of a run's id is shown in tables: its millisecond and three digits more."""

_ID_PREFIX = re.compile(r"[0-9a-f]{4,32}\Z")
_LISTED = (
    "id", "track", "lane", "cause", "state", "worker", "attempt", "created_at", "started_at", "pages", "records_read",
    "records_created", "records_updated", "records_deleted", "records_refused", "records_rejected", "error_code", "error",
)  # fmt: skip


def list_runs(
    database: Database,
    *,
    limit: int,
    connection_id: int | None = None,
    stream_id: int | None = None,
    state: State | None = None,
    before: UUID | None = None,
    view: View = EVERYTHING,
) -> list[DictRow]:
    """Open and past runs of what `view` shows, the newest first; `before` is the last id of the page before this one."""
    filters = {"connection_id": connection_id, "stream_id": stream_id, "state": state}
    only = None if connection_id is not None else few(database, view)
    found: list[DictRow] = []
    with database_errors(), database.engine.connect() as db:
        for table in _tables(state):
            rows = _rows_of(table, filters, before).order_by(table.c.id.desc())
            statement = (
                _shown_of(rows, limit, view) if only is None else _shown_of_each(table, rows, limit, only)
            )
            found += [dict(row) for row in db.execute(statement).mappings()]
    # A run that ended between the two statements was seen in both: what became of it stands last.
    newest = {row["id"]: row for row in found}
    return sorted(newest.values(), key=lambda row: row["id"], reverse=True)[:limit]


def _tables(state: State | None) -> list[Table]:
    if state is None:
        return [runs, run_history]
    return [runs] if state in OPEN else [run_history]


def _rows_of(table: Table, filters: Mapping[str, Any], before: UUID | None) -> Select[Any]:
    """Rows of one table. Filters are put together here, so that each set of them has a plan of its own."""
    past = table is run_history
    statement = select(
        *(table.c[name] for name in ("stream_id", "connection_id", *_LISTED)),
        table.c.finished_at if past else null().label("finished_at"),
        table.c.merged_into if past else null().label("merged_into"),
        null().label("not_before") if past else table.c.not_before,
        null().label("wait_reason") if past else table.c.wait_reason,
    )
    for column, value in filters.items():
        if value is not None:
            statement = statement.where(table.c[column] == value)
    if past and filters["state"] not in {None, State.SUCCEEDED}:
        statement = statement.where(sqlalchemy.not_(table.c.uneventful))  # these are never among the many
    return statement if before is None else statement.where(table.c.id < before)


def _shown_of(rows: Select[Any], limit: int, view: View) -> Select[Any]:
    """The newest of all, as far as they are seen."""
    if view != EVERYTHING:
        of = rows.selected_columns["connection_id"]
        rows = rows.join_from(rows.get_final_froms()[0], connections, connections.c.id == of).where(
            seen(view)
        )
    return _named(rows.limit(limit).subquery("r"))


def _shown_of_each(table: Table, rows: Select[Any], limit: int, only: Sequence[int]) -> Select[Any]:
    """The newest of these connections: of each its own, by its index, and of those the newest."""
    newest = newest_of_each(rows.limit(limit), table.c.connection_id, only)
    return _named(newest.order_by(newest.selected_columns["id"].desc()).limit(limit).subquery("r"))


def _named(rows: Subquery) -> Select[Any]:
    """With the names of what they are of, which may be gone."""
    return (
        select(
            connections.c.name.label("connection"),
            streams.c.name.label("stream"),
            *(column for name, column in rows.c.items() if name not in {"stream_id", "connection_id"}),
        )
        .select_from(
            rows.outerjoin(streams, streams.c.id == rows.c.stream_id).outerjoin(
                connections, connections.c.id == rows.c.connection_id
            )
        )
        .order_by(rows.c.id.desc())
    )


def find_run(database: Database, text: str) -> DictRow:
    """The run, open or past, whose id is or begins with this; `NotFound`, or `InvalidInput` where several do."""
    low, high = id_range(text)
    found = (
        [low] if low == high else [row["id"] for row in database.all(sql.run_ids, {"low": low, "high": high})]
    )
    if len(found) > 1:
        choices = ", ".join(str(run) for run in found[:4])
        raise InvalidInput(
            "ambiguous_run", f"Several runs begin with {text}: {choices}{', …' if len(found) > 4 else ''}.",
            hint="Give more of the id.",
        )  # fmt: skip
    run = read_run(database, found[0]) if found else None
    if run is None:
        raise NotFound("unknown_run", f"There is no run {text}.", hint="`headrace runs` lists the latest.")
    return run


def read_run(database: Database, run_id: UUID, view: View = EVERYTHING) -> DictRow | None:
    """The run, wherever it is now, if `view` shows it. It may move from the open ones to the past ones between the two looks."""
    params = {"run": run_id, **view}
    return database.one(sql.open_run, params) or database.one(sql.past_run, params)


def end_of(database: Database, run: DictRow) -> DictRow:
    """The run that carries on what this one wanted: itself, or the last of those it was merged into."""
    for _ in range(20):
        if run["merged_into"] is None:
            break
        if (successor := read_run(database, run["merged_into"])) is None:
            break
        run = successor
    return run


def id_range(text: str) -> tuple[UUID, UUID]:
    """The lowest and the highest id that begin with this."""
    digits = text.lower().replace("-", "")
    if not _ID_PREFIX.match(digits):
        raise InvalidInput(
            "bad_id",
            f"{text!r} is no id.",
            hint="An id is 32 hexadecimal digits; the first few are enough (4 at least).",
        )
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
