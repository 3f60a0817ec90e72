"""What is the SQL of a stream's tables? Of its view, of the view over its store, and of what fills the store.

Pure. A view over a store is always the committed copy: the rows of the store but for the keys that changed since it was
refreshed, and those records as they are now.
"""

from hashlib import sha256

from worker.views.sql.columns import Column, Relation
from worker.views.sql.kinds import KINDS
from worker.views.sql.quoting import array, ident
from worker.views.sql.records import Fields, Place

VERSION = 1
"""Raised where the same columns are to make other SQL: then every view is made anew."""


def signature(*parts: object) -> str:
    """A digest of what some SQL was made from."""
    return sha256(repr((VERSION, *parts)).encode()).hexdigest()[:32]


def view_of(relation: Relation, place: Place) -> str:
    """Every record, parsed as it is read."""
    return _parsed(relation, f"{place.table} r") + f"\n WHERE {place.condition}"


def view_over_store(relation: Relation, place: Place, store: str) -> str:
    """The store, and what changed since."""
    names = ", ".join(f"s.{ident(name)}" for name in column_names(relation))
    changed = f"headrace_changed_keys({int(place.stream)})"
    fresh = _parsed(
        relation, f"{changed} AS c (key)\n  JOIN {place.table} r ON {place.condition} AND r.key = c.key"
    )
    kept = f"headrace_store.{ident(store)} s\n WHERE s._key NOT IN (SELECT c.key FROM {changed} AS c (key))"  # noqa: S608
    return f"SELECT {names}\n  FROM {kept}\nUNION ALL\n{fresh}"  # noqa: S608 - quoted


def lines_of_view(relation: Relation, parent: str, lines: Column) -> str:
    """Lines out of the column of the view that holds them: as fast as that view, and as fresh."""
    found = _entry_fields(relation)
    columns = [
        'v."_key" AS "_parent_key"',
        'l.line_no AS "_line_no"',
        'v."_synced_at" AS "_synced_at"',
        'v."_deleted_at" AS "_deleted_at"',
        *_own_columns(relation, found),
    ]
    entries = (
        f"json_array_elements(headrace_entries(v.{ident(lines.name)})) WITH ORDINALITY AS l (entry, line_no)"
    )
    source = f"data.{ident(parent)} v\n CROSS JOIN LATERAL {entries}{found.join()}"
    return f"SELECT {', '.join(columns)}\n  FROM {source}"  # noqa: S608 - quoted


def create_store(relation: Relation, store: str) -> str:
    """An empty store."""
    kinds = {"_key": "text", "_version": "bigint", "_delete_reason": "text"}
    columns = [f"{ident(name)} {kinds.get(name, 'timestamptz')}" for name in relation.system_columns]
    columns += [f"{ident(column.name)} {KINDS[column.kind].sql}" for column in relation.columns]
    return f"CREATE TABLE headrace_store.{ident(store)} ({', '.join(columns)}, PRIMARY KEY (_key))"


def fill_store(relation: Relation, place: Place, store: str, condition: str) -> str:
    """Put records into the store, or anew over what it holds of them."""
    names = [ident(name) for name in column_names(relation)]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    return (
        f"INSERT INTO headrace_store.{ident(store)} ({', '.join(names)})\n"
        f"{view_of(relation, place)} AND {condition}\nON CONFLICT (_key) DO UPDATE SET {updates}"
    )


def drop_gone(place: Place, store: str) -> str:
    """Take those out of the store that are no records any more."""
    record = f"SELECT FROM {place.table} r WHERE {place.condition} AND r.key = s._key"
    return f"DELETE FROM headrace_store.{ident(store)} s WHERE NOT EXISTS ({record})"  # noqa: S608 - quoted


def problems_of(relation: Relation, place: Place) -> tuple[list[Column], str]:
    """Columns whose values may not read as their type, and a row with how many don't: `n0`, and examples: `e0`, …"""
    found = _fields(relation)
    told = [column for column in relation.columns if KINDS[column.kind].sql not in {"text", "json"}]
    parts = ["count(*) FILTER (WHERE headrace_fields(r.raw) IS NULL) AS unreadable"]
    for number, column in enumerate(told):
        text, value = found.told(column.path), found.value(column.path, column.kind)
        wrong = f"FILTER (WHERE ({text}) IS NOT NULL AND ({value}) IS NULL)"
        example = f"r.key || ': ' || left({text}, 60)"
        parts.append(f"count(*) {wrong} AS n{number}, (array_agg({example}) {wrong})[1:3] AS e{number}")
    return (
        told,
        f"SELECT {', '.join(parts)}{_source(relation, f'{place.table} r', found)}\n WHERE {place.condition}",
    )


def column_names(relation: Relation) -> list[str]:
    return [*relation.system_columns, *(column.name for column in relation.columns)]


def _parsed(relation: Relation, source: str) -> str:
    found = _fields(relation)
    columns = [f"{value} AS {ident(name)}" for name, value in relation.system_columns.items()]
    columns += _own_columns(relation, found)
    return f"SELECT {', '.join(columns)}{_source(relation, source, found)}"


def _source(relation: Relation, source: str, found: Fields) -> str:
    if relation.path:
        entries = f"headrace_entries(headrace_fields(r.raw) #> {array(relation.path)})"
        source += (
            f"\n CROSS JOIN LATERAL json_array_elements({entries}) WITH ORDINALITY AS l (entry, line_no)"
        )
    return f"\n  FROM {source}{found.join()}"


def _own_columns(relation: Relation, found: Fields) -> list[str]:
    return [f"{found.value(column.path, column.kind)} AS {ident(column.name)}" for column in relation.columns]


def _fields(relation: Relation) -> Fields:
    return _entry_fields(relation) if relation.path else _noted(relation, Fields(empty=relation.empty))


def _entry_fields(relation: Relation) -> Fields:
    source = "CASE WHEN json_typeof(l.entry) = 'object' THEN l.entry END"
    return _noted(relation, Fields(source=source, empty=relation.empty))


def _noted(relation: Relation, found: Fields) -> Fields:
    for column in relation.columns:
        found.note(column.path, typed=KINDS[column.kind].typed)
    return found
