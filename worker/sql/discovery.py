"""What does a database say of its tables and views? Columns, keys, indexes, about how many rows, and comments.

As far as its user may see, and no more than can be looked through: who wants a part names the schema.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import Inspector, ObjectKind
from sqlalchemy.exc import SQLAlchemyError

from worker.connectors.protocols.sql_asking import Discovering, FoundColumn, FoundTable, FoundTables
from worker.sql.opening import Opened
from worker.sql.statement import quoted

MOST = 1000
"""Tables."""
OWN = frozenset(
    {
        "information_schema",
        "performance_schema",
        "mysql",
        "sys",
        "pg_catalog",
        "pg_toast",
        "INFORMATION_SCHEMA",
    }
)
"""Schemas that are databases' own."""
_ROWS = """
SELECT n.nspname AS schema, c.relname AS name, GREATEST(c.reltuples, 0)::bigint AS rows
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname = ANY(:schemas) AND c.reltuples >= 0
"""
"""What Postgres counted at the last look at each table."""


def discovered(opened: Opened, asked: Discovering) -> FoundTables:
    """All that there is to be read."""
    inspector = sa.inspect(opened.connection)
    schemas = _schemas(inspector, asked.schema, opened)
    rows = _rows(opened, schemas)
    found: list[FoundTable] = []
    left_out = 0
    for schema in schemas:
        for table in _tables(opened, inspector, schema, rows, room=MOST - len(found)):
            if table is None:
                left_out += 1
            else:
                found.append(table)
    return FoundTables(tuple(found), left_out)


def _schemas(inspector: Inspector, wanted: str, opened: Opened) -> Sequence[str | None]:
    if wanted:
        return [wanted]
    if opened.target.is_sqlite:
        return [None]
    try:
        named = inspector.get_schema_names()
    except (SQLAlchemyError, NotImplementedError):
        return [None]
    first = inspector.default_schema_name  # its tables keep their names where others have the same
    ours = [name for name in named if name not in OWN and not name.startswith(("pg_toast", "pg_temp"))]
    return sorted(ours, key=lambda name: (name != first, name))


def _tables(
    opened: Opened, inspector: Inspector, schema: str | None, rows: Mapping[Any, int], *, room: int
) -> Iterator[FoundTable | None]:
    kinds: dict[str, Any] = {"schema": schema, "kind": ObjectKind.ANY}
    columns = inspector.get_multi_columns(**kinds)
    keys = inspector.get_multi_pk_constraint(**kinds)
    indexes = inspector.get_multi_indexes(**kinds)
    uniques: Mapping[Any, Any] = {}
    comments: Mapping[Any, Any] = {}
    with suppress(NotImplementedError):
        uniques = inspector.get_multi_unique_constraints(**kinds)
    with suppress(NotImplementedError):
        comments = inspector.get_multi_table_comment(**kinds)
    views = {*inspector.get_view_names(schema)}
    for at, place in enumerate(sorted(columns, key=lambda place: place[1])):
        if at >= room:
            yield None
            continue
        name = place[1]
        held: Any = keys.get(place) or {}
        key = tuple(held.get("constrained_columns") or ())
        ways = [each.get("column_names") or [] for each in indexes.get(place) or ()]
        first = {way[0] for way in (*ways, list(key)) if way}
        unique = [tuple(each["column_names"]) for each in uniques.get(place) or ()]
        unique += [
            tuple(each["column_names"])
            for each in indexes.get(place) or ()
            if each.get("unique") and None not in each["column_names"]
        ]
        said: Any = comments.get(place) or {}
        comment = said.get("text") or ""
        yield FoundTable(
            schema or "",
            name,
            tuple(_column(opened, schema, name, each, first) for each in columns[place]),
            key=key,
            unique=tuple(dict.fromkeys(unique)),
            view=name in views,
            rows=rows.get((schema, name)),
            comment=comment,
        )


def _column(
    opened: Opened, schema: str | None, table: str, found: ReflectedColumn, first: set[Any]
) -> FoundColumn:
    kind = kind_of(found["type"])
    sample = None
    if opened.target.is_sqlite and kind in {"time", "date"}:
        sample = _sample(opened, schema, table, found["name"])
    return FoundColumn(
        found["name"],
        str(found["type"])[:60],
        nullable=found.get("nullable", True),
        kind=kind,
        indexed=found["name"] in first,
        sample=sample,
    )


def kind_of(found: Any) -> str:
    """What a column of this type can be to a cursor."""
    if isinstance(found, sa.DateTime):
        return "zoned" if found.timezone else "time"
    if isinstance(found, sa.Date):
        return "date"
    return "number" if isinstance(found, sa.Integer) else ""


def _sample(opened: Opened, schema: str | None, table: str, column: str) -> str | int | None:
    """SQLite's types say nothing of how a time is written; what stands there does."""
    field: sa.ColumnClause[Any] = sa.column(quoted(column))
    select = (
        sa.select(field)
        .select_from(sa.table(quoted(table), schema=schema))
        .where(field.is_not(None))
        .limit(1)
    )
    with suppress(SQLAlchemyError):
        value = opened.connection.execute(select).scalar()
        if isinstance(value, str | int):
            return value[:40] if isinstance(value, str) else value
    return None


def _rows(opened: Opened, schemas: Sequence[str | None]) -> Mapping[Any, int]:
    if not opened.target.is_postgres:
        return {}
    with suppress(SQLAlchemyError):
        found = opened.connection.execute(sa.text(_ROWS), {"schemas": [each for each in schemas if each]})
        return {(row.schema, row.name): row.rows for row in found}
    return {}
