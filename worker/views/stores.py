"""How is a large stream kept parsed, so that a query over millions doesn't parse them each time?

A table of typed columns beside the records, filled in the order of the keys and then refreshed from the feed, in batches of
a fraction of a second. It may be behind by any time: the view adds what changed since, so it is the committed copy for
whoever reads it. Emits: store_started, store_in_use, store_dropped.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from worker.db.database import Database
from worker.db.partitions import in_partition
from worker.db.queries import sql
from worker.views.make import known_columns, make_views_in
from worker.views.sql import tables
from worker.views.sql.columns import Relation
from worker.views.sql.quoting import ident, literal
from worker.views.statements import Transaction, carry_out, ready, rows, run, unless_busy
from worker.views.streams import MATERIALISE_FROM, Described

log = structlog.get_logger()

BATCH = 10_000
"""Records in one transaction. Whoever deletes a record of the stream waits for its end."""


def wants_store(database: Database, stream: Described) -> bool:
    """Whether the stream's records are to be kept parsed: as the connections file says, else by their number."""
    if stream.materialise != "auto":
        return stream.materialise == "always"
    statement = in_partition(sql.count_up_to, stream.place.bucket)
    params = {"bucket": stream.place.bucket, "stream": stream.id, "limit": MATERIALISE_FROM}
    found = database.one(statement, params)
    return found is not None and found["records"] >= MATERIALISE_FROM


@unless_busy
def keep_store(database: Database, stream: Described) -> bool:
    """Start the store that a stream wants, or drop one that it doesn't. True if there is something to fill now."""
    wanted = wants_store(database, stream)
    with database.transaction() as tx:
        ready(tx)
        if not rows(tx, sql.lock_view, {"stream": stream.id})[0]["locked"]:
            return False
        run(tx, sql.stream_was_counted, {"stream": stream.id})
        stores = rows(tx, sql.stores_of_stream, {"streams": [stream.id]})
        if not wanted:
            _drop(tx, stream, [row["table_name"] for row in stores])
            return False
        relation = Relation((), tuple(known_columns(tx, stream.id).get((), ())), stream.table.empty)
        signature = tables.signature(relation)
        if any(row["signature"] == signature for row in stores):
            return any(not row["active"] for row in stores)
        _drop(tx, stream, [row["table_name"] for row in stores if not row["active"]])
        _start(tx, stream, relation, signature)
    return True


@unless_busy
def tend_store(database: Database, store: Mapping[str, Any], stream: Described) -> bool:
    """One batch of a store. True if the next one can follow at once."""
    with database.transaction() as tx:
        ready(tx)
        if store["foreign_position"]:
            _drop(tx, stream, [store["table_name"]])
            return False
        held = rows(tx, sql.lock_store, {"table": store["table_name"]})
        if not held:
            return False
        relation = _relation_of(tx, stream, store)
        if relation is None:
            _drop(tx, stream, [store["table_name"]])
            return False
        if held[0]["active"]:
            return _refresh(tx, stream, store, held[0], relation)
        more = _fill(tx, stream, store, held[0], relation) or _refresh(tx, stream, store, held[0], relation)
        if not more:
            _use(tx, stream, store)
        return more


def _start(tx: Transaction, stream: Described, relation: Relation, signature: str) -> None:
    table = f"s{stream.id}_{signature[:8]}"
    carry_out(tx, f"DROP TABLE IF EXISTS headrace_store.{ident(table)}")
    carry_out(tx, tables.create_store(relation, table))
    place = {"table": table, "stream": stream.id, "bucket": stream.place.bucket}
    run(tx, sql.start_store, {**place, "signature": signature})
    log.info("store_started", stream_id=stream.id, table=table)


def _relation_of(tx: Transaction, stream: Described, store: Mapping[str, Any]) -> Relation | None:
    """The columns that the store has: the first of those that the stream has by now. None: a type was declared anew."""
    columns = tuple(known_columns(tx, stream.id).get((), ()))
    for count in range(len(columns), -1, -1):
        relation = Relation((), columns[:count], stream.table.empty)
        if tables.signature(relation) == store["signature"]:
            return relation
    return None


def _fill(
    tx: Transaction, stream: Described, store: Mapping[str, Any], held: Mapping[str, Any], relation: Relation
) -> bool:
    """The next keys. False: there are none."""
    statement = in_partition(sql.next_key_of_store, stream.place.bucket)
    params = {"bucket": stream.place.bucket, "stream": stream.id, "after": held["built_to"], "limit": BATCH}
    found = rows(tx, statement, params)[0]
    if not found["records"]:
        return False
    condition = f"r.key > {literal(held['built_to'])} AND r.key <= {literal(found['key'])}"
    carry_out(tx, tables.fill_store(relation, stream.place, store["table_name"], condition))
    run(tx, sql.store_was_filled, {"table": store["table_name"], "built_to": found["key"]})
    return True


def _refresh(
    tx: Transaction, stream: Described, store: Mapping[str, Any], held: Mapping[str, Any], relation: Relation
) -> bool:
    """The next changes. False: there are no more, but for what is still under way."""
    position, horizon = int(held["position"]), int(held["horizon"])
    if horizon <= position:
        return False
    statement = in_partition(sql.next_position_of_store, stream.place.bucket)
    bounds = {"position": str(position), "horizon": str(horizon)}
    params = {"bucket": stream.place.bucket, "stream": stream.id, "limit": BATCH, **bounds}
    found = rows(tx, statement, params)[0]
    full = bool(found["records"] == BATCH)
    until = min(int(found["last"]) + 1, horizon) if full else horizon
    if found["records"]:
        condition = f"r.change_xid >= '{position}'::xid8 AND r.change_xid < '{until}'::xid8"
        carry_out(tx, tables.fill_store(relation, stream.place, store["table_name"], condition))
    run(tx, sql.store_was_refreshed, {"table": store["table_name"], "position": str(until)})
    return full


def _use(tx: Transaction, stream: Described, store: Mapping[str, Any]) -> None:
    """Put the view on a store that has caught up, in the place of the one before."""
    if not rows(tx, sql.lock_view, {"stream": stream.id})[0]["locked"]:
        return
    # Who was deleting a record when the store began didn't see it, and may have committed after the record was copied.
    carry_out(tx, tables.drop_gone(stream.place, store["table_name"]))
    carry_out(tx, f"ANALYZE headrace_store.{ident(store['table_name'])}")
    others = [
        row["table_name"]
        for row in rows(tx, sql.stores_of_stream, {"streams": [stream.id]})
        if row["table_name"] != store["table_name"]
    ]
    for table in others:
        run(tx, sql.forget_store, {"table": table})
    run(tx, sql.use_store, {"table": store["table_name"]})
    make_views_in(tx, stream)
    for table in others:
        carry_out(tx, f"DROP TABLE IF EXISTS headrace_store.{ident(table)}")
    log.info("store_in_use", stream_id=stream.id, table=store["table_name"])


def _drop(tx: Transaction, stream: Described, stores: list[str]) -> None:
    """Take stores away; the view parses again what it read from them."""
    if not stores:
        return
    for table in stores:
        run(tx, sql.forget_store, {"table": table})
    make_views_in(tx, stream)
    for table in stores:
        carry_out(tx, f"DROP TABLE IF EXISTS headrace_store.{ident(table)}")
    log.info("store_dropped", stream_id=stream.id, tables=stores)
