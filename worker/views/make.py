"""How do the views of a stream come to be, and stay right?

One stream, one transaction. What is known (names, columns) stands in tables and is only added to, so whoever makes views
(the command that applies a file, beat, a person) comes to the same. Emits: views_made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import psycopg
import structlog
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.views.fields import seen_in
from worker.views.sql import names, tables
from worker.views.sql.columns import Column, Path, Relation, Seen, relations
from worker.views.sql.quoting import ident
from worker.views.statements import Transaction, carry_out, ready, rows, run, unless_busy
from worker.views.streams import Described

log = structlog.get_logger()


@unless_busy
def make_views(database: Database, stream: Described) -> bool:
    """Bring the views of a stream up to date. False if somebody was in the way: then it is to be tried again."""
    with database.transaction() as tx:
        ready(tx)
        if not rows(tx, sql.lock_view, {"stream": stream.id})[0]["locked"]:
            return False
        make_views_in(tx, stream)
    return True


def make_views_in(tx: Transaction, stream: Described) -> None:
    """The same in a transaction that holds the stream's lock."""
    now = rows(tx, sql.database_now)[0]["now"]
    known = known_columns(tx, stream.id)
    before = {tuple(row["relation"]): row for row in rows(tx, sql.views_of_stream, {"stream": stream.id})}
    first = () not in before or before[()]["signature"] is None
    found = relations(known, stream.table, _seen(tx, stream, sample=first or not known))
    _keep_columns(tx, stream.id, known, found)
    named = {
        path: before[path]["name"] if path in before else _choose_name(tx, stream, path) for path in found
    }
    store = active_store(rows(tx, sql.stores_of_stream, {"streams": [stream.id]}), found[()])
    made = _texts(stream, found, named, store)
    signatures = {path: tables.signature(text) for path, text in made.items()}
    changed = [path for path in made if path not in before or before[path]["signature"] != signatures[path]]
    problem = None
    if changed or not _exist(tx, list(named.values())):
        problem = _replace(tx, named, made)
        log.info("views_made", stream_id=stream.id, views=sorted(named.values()), problem=problem)
    for path in found:
        same = before[path]["signature"] if path in before else None
        params = {
            "stream": stream.id,
            "relation": list(path),
            "signature": signatures[path] if problem is None else same,
            "basis": stream.basis,
            "problem": problem or stream.problem,
            "looked_at": now,
        }
        run(tx, sql.view_was_made, params)


def known_columns(tx: Transaction, stream: int) -> dict[Path, list[Column]]:
    """The columns that a stream's tables have, in their places."""
    known: dict[Path, list[Column]] = {}
    for row in rows(tx, sql.columns_of_stream, {"stream": stream}):
        column = Column(row["name"], tuple(row["path"]), row["kind"], row["declared"])
        known.setdefault(tuple(row["relation"]), []).append(column)
    return known


def active_store(stores: Sequence[DictRow], relation: Relation) -> tuple[str, Relation] | None:
    """The store that the view stands on, and the columns that it has: new ones come with the store that is filled next."""
    for row in stores:
        if not row["active"]:
            continue
        for count in range(len(relation.columns), -1, -1):
            part = replace(relation, columns=relation.columns[:count])
            if tables.signature(part) == row["signature"]:
                return row["table_name"], part
    return None


def drop_views(tx: Transaction, streams: Sequence[int]) -> None:
    """Take the views and stores of streams away, and all that is known of them, in the caller's transaction."""
    for stream in streams:
        views = rows(tx, sql.views_of_stream, {"stream": stream})
        for row in sorted(views, key=lambda row: len(row["relation"]), reverse=True):
            carry_out(tx, f"DROP VIEW IF EXISTS data.{ident(row['name'])} CASCADE")
    for row in rows(tx, sql.stores_of_stream, {"streams": list(streams)}):
        carry_out(tx, f"DROP TABLE IF EXISTS headrace_store.{ident(row['table_name'])}")
    run(tx, sql.forget_views, {"streams": list(streams)})


def _seen(tx: Transaction, stream: Described, *, sample: bool) -> Seen:
    """Fields as pages were found to hold them; at first also what a few records of the copy hold."""
    seen: dict[Path, set[str]] = {}
    if sample:
        statement = in_partition(sql.sample_of_stream, stream.place.bucket)
        params = {"bucket": stream.place.bucket, "stream": stream.id}
        seen = seen_in(row["raw"] for row in rows(tx, statement, params))
    for row in rows(tx, sql.fields_of_stream, {"stream": stream.id}):
        seen.setdefault(tuple(row["path"]), set()).update(row["types"])
    return seen


def _keep_columns(
    tx: Transaction, stream: int, known: Mapping[Path, Sequence[Column]], found: Mapping[Path, Relation]
) -> None:
    for path, relation in found.items():
        if tuple(known.get(path, ())) != relation.columns:
            listed = json.dumps([asdict(column) for column in relation.columns])
            run(tx, sql.keep_columns, {"stream": stream, "relation": list(path), "columns": listed})


def _choose_name(tx: Transaction, stream: Described, path: Path) -> str:
    wanted = names.view_name(prefix_of(tx, stream), stream.name, *path)
    while True:
        taken = {row["name"] for row in rows(tx, sql.taken_names, {"beginning": wanted[:50]})}
        params = {
            "stream": stream.id,
            "relation": list(path),
            "connection": stream.connection_id,
            "bucket": stream.place.bucket,
            "name": names.unused(wanted, taken),
        }
        if kept := rows(tx, sql.keep_view, params):
            return str(kept[0]["name"])


def prefix_of(tx: Transaction, stream: Described) -> str:
    """How the views of the stream's connection begin: chosen once, from the name that it had then."""
    wanted = names.prefix_of(stream.connection, stream.connection_id, test=stream.test)
    while True:
        if found := rows(tx, sql.prefix_of_connection, {"connection": stream.connection_id}):
            return str(found[0]["prefix"])
        taken = {row["prefix"] for row in rows(tx, sql.taken_prefixes, {"beginning": wanted})}
        params = {"connection": stream.connection_id, "prefix": names.unused(wanted, taken)}
        run(tx, sql.keep_prefix, params)


def _texts(
    stream: Described,
    found: Mapping[Path, Relation],
    named: Mapping[Path, str],
    store: tuple[str, Relation] | None,
) -> dict[Path, str]:
    made: dict[Path, str] = {}
    for path, relation in found.items():
        lists = next((column for column in found[()].columns if column.path == path), None)
        if not path and store is not None:
            made[path] = tables.view_over_store(store[1], stream.place, store[0])
        elif path and lists is not None and lists.kind == "json":
            made[path] = tables.lines_of_view(relation, named[()], lists)
        else:
            made[path] = tables.view_of(relation, stream.place)
    return made


def _exist(tx: Transaction, views: Sequence[str]) -> bool:
    return all(
        rows(tx, "SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": f"data.{ident(name)}"})[0][
            "there"
        ]
        for name in views
    )


def _replace(tx: Transaction, named: Mapping[Path, str], made: Mapping[Path, str]) -> str | None:
    """Put the views in place; why that can't be, in words, if somebody's own views stand on a column that changes."""
    try:
        with tx.transaction():
            for path, text in made.items():
                carry_out(tx, f"CREATE OR REPLACE VIEW data.{ident(named[path])} AS {text}")
        return None
    except (psycopg.errors.InvalidTableDefinition, psycopg.errors.WrongObjectType):
        pass  # a type was declared anew, or a column: only a new view has it
    try:
        with tx.transaction():
            for path in reversed(list(made)):
                carry_out(tx, f"DROP VIEW IF EXISTS data.{ident(named[path])}")
            for path, text in made.items():
                carry_out(tx, f"CREATE VIEW data.{ident(named[path])} AS {text}")
        return None
    except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.WrongObjectType) as exc:
        return str(exc.diag.message_detail or exc.diag.message_primary or exc).split("\n")[0]
