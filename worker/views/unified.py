"""How do the views of the unified models come to be? From the mappings in use, at once over all that was ever synced.

A change of a mapping replaces a view and asks no system for anything. Emits: models_made, models_kept.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import psycopg
import structlog

from worker.connectors.manifest.views.canonical import MODELS, Model
from worker.connectors.manifest.views.mapping import ModelMapping
from worker.db.database import Database
from worker.db.queries import sql
from worker.views.make import prefix_of
from worker.views.sql import models, names
from worker.views.sql.models import LINES, Branch
from worker.views.sql.quoting import ident, literal
from worker.views.sql.records import Place
from worker.views.sql.tables import signature
from worker.views.statements import Transaction, carry_out, ready, rows, run, unless_busy
from worker.views.streams import Described

log = structlog.get_logger()


@unless_busy
def make_models(database: Database, streams: Iterable[Described]) -> bool:
    """Bring the views of models up to date with these streams. False if somebody was in the way."""
    listed = list(streams)
    with database.transaction() as tx:
        ready(tx)
        run(tx, sql.lock_models)
        for stream in listed:
            _keep_mappings(tx, stream)
        for connection in {stream.connection_id: stream for stream in listed}.values():
            _replace_connection(tx, connection)
        make_unions(tx)
    return True


def drop_models(tx: Transaction, connections: Iterable[int], streams: Iterable[int]) -> None:
    """Take the models of streams that are gone away, in the caller's transaction."""
    run(tx, sql.forget_model_streams, {"streams": list(streams)})
    for connection in connections:
        for row in rows(tx, sql.prefix_of_connection, {"connection": connection}):
            left = {
                each["model"]
                for each in rows(tx, sql.model_streams_of_connection, {"connection": connection})
            }
            _drop_unwanted(tx, row["prefix"], left)
    make_unions(tx)


def make_unions(tx: Transaction) -> None:
    """The views across all connections; they are there from the start, empty where nothing is mapped."""
    used = rows(tx, sql.mappings_in_use)
    for model in MODELS.values():
        own = [row for row in used if row["model"] == model.name]
        branches = [_of_mapping(row, row["branch"]) for row in own if row["branch"]]
        lines = [_of_mapping(row, row["lines"]) for row in own if row["lines"]]
        _put_model(tx, model, model.name, branches, lines)


def note_mappings(database: Database, streams: Iterable[Described]) -> None:
    """Say which models streams are of, before anything is read of them: who reads a model page by page would pass by the
    records of a stream that is mapped only after they came. The views may follow.
    """
    listed = [stream for stream in streams if stream.mappings]
    with database.transaction() as tx:
        run(tx, sql.lock_models)
        kept = rows(tx, sql.mapping_of_stream, {"streams": [stream.id for stream in listed]})
        known = {(row["stream_id"], row["model"]): row["mapping"] for row in kept}
        found = [
            {**params, **_place(stream)}
            for stream in listed
            for params in map(partial(_mapping, stream), stream.mappings)
            if known.get((stream.id, params["model"])) != params["mapping"]
        ]
        with tx.cursor() as cursor:
            cursor.executemany(sql.keep_mapping, list({each["mapping"]: each for each in found}.values()))
            cursor.executemany(sql.keep_model_stream, found)


def _keep_mappings(tx: Transaction, stream: Described) -> None:
    kept = {row["model"]: row["mapping"] for row in rows(tx, sql.mapping_of_stream, {"streams": [stream.id]})}
    for mapping in stream.mappings:
        params = _mapping(stream, mapping)
        if kept.pop(mapping.model, None) == params["mapping"]:
            continue
        run(tx, sql.keep_mapping, params)
        run(tx, sql.keep_model_stream, {**params, **_place(stream)})
    for model in kept:
        run(tx, sql.forget_model_stream, {"stream": stream.id, "model": model})


def _mapping(stream: Described, mapping: ModelMapping) -> dict[str, Any]:
    branch = None if mapping.of else models.branch_of(mapping, stream.table.custom_fields)
    lines = models.lines_branch_of(mapping)
    texts = (branch.dumped() if branch else None, lines.dumped() if lines else None)
    digest = signature(mapping.model, texts)
    return {"mapping": digest, "model": mapping.model, "branch": texts[0], "lines": texts[1]}


def _place(stream: Described) -> dict[str, int]:
    return {"stream": stream.id, "connection": stream.connection_id, "bucket": stream.place.bucket}


def _replace_connection(tx: Transaction, stream: Described) -> None:
    """The models of one connection: `models.plant_north__work_order`."""
    prefix = prefix_of(tx, stream)
    mapped = rows(tx, sql.model_streams_of_connection, {"connection": stream.connection_id})
    for name in dict.fromkeys(row["model"] for row in mapped):
        own = [row for row in mapped if row["model"] == name]
        branches = [_of_stream(row, row["branch"], stream.connection_id) for row in own if row["branch"]]
        lines = [_of_stream(row, row["lines"], stream.connection_id) for row in own if row["lines"]]
        _put_model(tx, MODELS[name], names.view_name(prefix, name), branches, lines)
    _drop_unwanted(tx, prefix, {row["model"] for row in mapped})


def _of_stream(row: dict[str, object], branch: object, connection: int) -> str:
    place = Place(int(str(row["bucket"])), int(str(row["stream_id"])))
    return models.of_stream(Branch.loaded(str(branch)), place, connection)


def _of_mapping(row: dict[str, object], branch: object) -> str:
    return models.of_mapping(Branch.loaded(str(branch)), str(row["model"]), str(row["mapping"]))


def _drop_unwanted(tx: Transaction, prefix: str, wanted: set[str]) -> None:
    keep = {names.view_name(prefix, name) for name in wanted}
    known = {names.view_name(prefix, name) for name in MODELS}
    for row in rows(tx, sql.model_views_like, {"beginning": f"{prefix}__"}):
        base = row["name"].removesuffix(f"__{LINES}")
        if base in known and base not in keep:
            carry_out(tx, f"DROP VIEW IF EXISTS models.{ident(row['name'])} CASCADE")


def _put_model(tx: Transaction, model: Model, name: str, branches: list[str], lines: list[str]) -> None:
    _put(tx, name, models.together(branches, models.columns_of(model)))
    if model.lines:
        _put(tx, f"{name}__{LINES}", models.together(lines, models.line_columns_of(model)))


def _put(tx: Transaction, name: str, text: str) -> None:
    """The comment of a view tells what it was made from, so that nothing is replaced that is the same."""
    made = f"Made by Headrace ({signature(text)})."
    found = rows(tx, sql.view_text, {"schema": "models", "name": name})
    if found and found[0]["signature"] == made:
        return
    try:
        with tx.transaction():
            if found and not _same_columns(tx, name, text):
                carry_out(tx, f"DROP VIEW models.{ident(name)}")
            carry_out(tx, f"CREATE OR REPLACE VIEW models.{ident(name)} AS {text}")
            carry_out(tx, f"COMMENT ON VIEW models.{ident(name)} IS {literal(made)}")
    except psycopg.errors.DependentObjectsStillExist as exc:
        log.warning("models_kept", view=name, error=exc.diag.message_detail)
        return
    log.debug("models_made", view=name)


def _same_columns(tx: Transaction, name: str, text: str) -> bool:
    """They only differ after an upgrade that adds fields to a model."""
    held = carry_out(tx, f"SELECT * FROM models.{ident(name)} LIMIT 0").description or ()  # noqa: S608 - quoted
    new = carry_out(tx, f"SELECT * FROM ({text}) v LIMIT 0").description or ()  # noqa: S608 - quoted
    return [(each.name, each.type_code) for each in held] == [(each.name, each.type_code) for each in new][
        : len(held)
    ]


def views_of(database: Database, connection: int) -> list[str]:
    """The views of models of one connection."""
    with database.connection() as db:
        found = rows(db, sql.prefix_of_connection, {"connection": connection})
        if not found:
            return []
        prefix = found[0]["prefix"]
        known = {names.view_name(prefix, name) for name in MODELS}
        listed = [row["name"] for row in rows(db, sql.model_views_like, {"beginning": f"{prefix}__"})]
    return sorted(name for name in listed if name.removesuffix(f"__{LINES}") in known)
