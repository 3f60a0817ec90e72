"""Words in whatever is written of a customer: a row in each table, and in each of its columns where it came from.

What a column allows is for its table to say: a word that it refuses is left out. So a column that comes later is planted
without anybody thinking of it.
"""

from typing import Any

import psycopg
from servers.rows.customers import Customers

from scheduler.access.audit import Actor, note_act
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.feed.spaces import EVERYTHING, kept_name, space_of

MARK = "PLANTED"
_ROWS = {
    "feed_consumers": """INSERT INTO feed_consumers (name, position, environment, tenants)
        VALUES (%(kept)s, '1.0.0', %(environment)s, ARRAY[coalesce(%(tenant)s, 'nobody')])""",
    "subscriptions": """INSERT INTO subscriptions (name, url, secret, position, connection_id, environment, tenants)
        VALUES (%(kept)s, 'http://x', 'env://X', '1.0.0', %(id)s, %(environment)s, ARRAY[coalesce(%(tenant)s, 'nobody')])""",
    "pending_deliveries": """INSERT INTO pending_deliveries (subscription_id, stream_id, key, error)
        SELECT id, %(stream)s, 'WO-1', 'e' FROM subscriptions WHERE connection_id = %(id)s""",
    "events": """INSERT INTO events (connection_id, stream_id, kind, event_key, request_id, state)
        VALUES (%(id)s, %(stream)s, 'record', 'e', 'r', 'failed')""",
    "webhook_refusals": """INSERT INTO webhook_refusals (connection_id, name, reason, words, request_id)
        VALUES (%(id)s, %(name)s, 'bad_signature', 'w', 'r')""",
    "webhook_registrations": """INSERT INTO webhook_registrations (connection_id, url) VALUES (%(id)s, 'http://x')""",
    "webhook_counts": "INSERT INTO webhook_counts (connection_id, stream_id) VALUES (%(id)s, %(stream)s)",
    "connect_links": """INSERT INTO connect_links (digest, environment, system, connection_id, name, tenant, store, expires_at)
        VALUES (sha256(%(name)s::text::bytea), %(environment)s, 'demo', %(id)s, %(name)s, %(tenant)s, 'env://X',
                now() + interval '1 day')""",
    "record_versions": """INSERT INTO record_versions (stream_id, key, valid_from, valid_to, raw, content_hash, version,
               observed_at, first_seen_at, change_kind, cause_id, ended_by)
        VALUES (%(stream)s, 'WO-1', now() - interval '1 day', now(), '{}', gen_random_uuid(), 1, now(), now(), 'created',
                gen_random_uuid(), gen_random_uuid())""",
    "cursors": "INSERT INTO cursors (stream_id, track) VALUES (%(stream)s, 'live')",
    "sweeps": "INSERT INTO sweeps (stream_id, run_id) VALUES (%(stream)s, gen_random_uuid())",
}
_OF = {
    "connections": "id = %(id)s",
    "streams": "id = %(stream)s",
    "tokens": "connections = ARRAY[%(id)s::bigint]",
    "feed_consumers": "name = %(kept)s",
    "subscriptions": "connection_id = %(id)s",
    "connect_links": "connection_id = %(id)s",
    "pending_deliveries": "stream_id = %(stream)s",
    "record_versions": "stream_id = %(stream)s",
}
"""Whose a row is, where neither of the usual columns says so alone."""
NOT_WORDS = {
    "environment",
    "system",
    "tenant",
    "tenants",
    "scopes",
    "networks",
    "digest",
    "key_digest",
    "made_with",
    "kind",
}
"""What says who sees a row, or is compared with a manifest."""
NAMED_SO = {"feed_consumers.name", "subscriptions.name"}
"""They begin with whose they are, and have a word already."""
_ALL_COLUMNS = """
SELECT c.table_name, c.column_name, c.udt_name FROM information_schema.columns c JOIN information_schema.tables t
       USING (table_schema, table_name)
  JOIN pg_class p ON p.relname = c.table_name AND p.relnamespace = 'public'::regnamespace
 WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND NOT p.relispartition
   AND c.is_generated = 'NEVER' AND c.table_name <> 'audit'
 ORDER BY 1, 2
"""
_VALUES = {
    "text": "%(mark)s",
    "_text": "array_append({0}, %(mark)s::text)",
    "jsonb": "CASE jsonb_typeof({0}) WHEN 'array' THEN {0} || to_jsonb(%(mark)s::text)"
    " WHEN 'object' THEN {0} || jsonb_build_object(%(mark)s::text, %(mark)s::text) END",
    "json": "json_build_object('id', 'WO-1', 'said', %(mark)s::text)",
    "bytea": "convert_to(json_build_object('said', %(mark)s::text)::text, 'UTF8')",
}


def plant(customers: Customers, name: str, *, words: bool = True) -> set[str]:
    """Rows of the connection of this name, and a word in each column: `table.column` of those that took theirs."""
    database = customers.database
    row = database.one("SELECT environment, tenant FROM connections WHERE name = %(name)s", {"name": name})
    assert row is not None
    ids = {**row, "id": customers.connections[name], "stream": customers.streams[name], "name": name}
    view = {**EVERYTHING, "environment": row["environment"], "tenants": [row["tenant"] or "nobody"]}
    ids["kept"] = kept_name(space_of(view), word_of(name, "feed", "name"))
    customers.token(row["environment"], connections=[name], name=name)
    for statement in _ROWS.values():
        database.run(statement, ids)
    if not words:
        return set()
    with database.transaction() as tx:
        word = word_of(name, "audit", "target")
        about = {"id": ids["id"], **row}
        note_act(
            tx,
            Actor(word, environment=row["environment"]),
            "test.act",
            word,
            about=about,
            detail={word: word},
        )
    columns = _columns(database)
    return {
        f"{table}.{column}"
        for table, column, kind in columns
        if _write(database, (table, column, kind), _whose(table, columns), ids)
    }


def word_of(name: str, table: str, column: str) -> str:
    """What is written there."""
    return f"{MARK}-{name}-{table}-{column}"


def _columns(database: Database) -> list[tuple[str, str, str]]:
    return [(row["table_name"], row["column_name"], row["udt_name"]) for row in database.all(_ALL_COLUMNS)]


def _whose(table: str, columns: list[tuple[str, str, str]]) -> str:
    of_connection = (table, "connection_id", "int8") in columns
    return _OF.get(table) or ("connection_id = %(id)s" if of_connection else "stream_id = %(stream)s")


def _write(database: Database, what: tuple[str, str, str], whose: str, ids: dict[str, Any]) -> bool:
    table, column, kind = what
    if (
        column in NOT_WORDS
        or table == "idempotency_keys"
        or f"{table}.{column}" in NAMED_SO
        or kind not in _VALUES
    ):
        return False
    value = _VALUES[kind].format(f'"{column}"')
    params = {**ids, "mark": word_of(ids["name"], table, column)}
    try:
        return database.run(f'UPDATE {table} SET "{column}" = {value} WHERE {whose}', params) > 0
    except (psycopg.Error, HeadraceError):
        return False
