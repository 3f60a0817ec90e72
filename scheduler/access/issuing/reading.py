"""Which tokens are there, and what is known of one? Never the token itself: nobody has it any more."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from scheduler.access.issuing.lifetime import state_of, warnings_of
from scheduler.access.principal import EVERYTHING, Principal
from scheduler.access.tokens import digest_of
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import InvalidInput, NotFound

queries = load_queries("scheduler.access.issuing", "issuing.sql")


def list_tokens(
    database: Database,
    maker: Principal | None,
    *,
    limit: int,
    before: UUID | None = None,
    ended: bool = False,
    owner: str | None = None,
    tenant: str | None = None,
    environment: str | None = None,
) -> list[DictRow]:
    """Tokens that somebody may know of, the newest first; None: the command line. `ended`: also those that are no good.
    `tenant`: those that were limited to it, alone or with others.
    """
    params = {
        **_known_to(maker),
        "limit": limit,
        "before": before,
        "ended": ended,
        "owner": owner,
        "tenant": tenant,
        "id": None,
    }
    if maker is None:
        params["environment"] = environment
    return database.filtered(queries.list_tokens, params)


def read_token(
    where: Database | psycopg.Connection[DictRow], token_id: UUID, maker: Principal | None = None
) -> DictRow:
    """The token's row, or `NotFound`: also for one that whoever asks doesn't know of."""
    every: dict[str, Any] = {"limit": 1, "before": None, "ended": True, "owner": None, "tenant": None}
    params = {**_known_to(maker), **every, "id": token_id}
    if isinstance(where, Database):
        row = where.one(queries.list_tokens, params)
    else:
        row = where.execute(_text(queries.list_tokens), params).fetchone()
    if row is None:
        raise unknown_token(str(token_id))
    return row


def find_token(database: Database, given: str) -> DictRow:
    """Which token is meant on the command line: by its id or the beginning of it, its name, its end, or the token itself."""
    return find_with_replaced(database, given)[0]


def find_with_replaced(database: Database, given: str) -> list[DictRow]:
    """The same, and behind it what it replaced of that name and what is good still: a name goes on when its token rotates."""
    rows = database.all(queries.find_tokens, {"given": given.replace("\0", ""), "digest": digest_of(given)})
    best = [row for row in rows if row["rank"] == rows[0]["rank"]]
    if not best:
        raise unknown_token("of that name, id or end")
    ids = {row["id"] for row in best}
    newest = [row for row in best if row["successor"] not in ids]
    if len(newest) != 1:
        shown = ", ".join(str(row["id"]) for row in best)
        raise InvalidInput("ambiguous_token", "Several tokens fit that.", hint=f"Say which: {shown}.")
    replaced = [row for row in best if row["id"] != newest[0]["id"]]
    return [read_token(database, row["id"]) for row in (*newest, *replaced)]


def token_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A token as the API and the command line show it."""
    names = row["connection_names"] or []
    return {
        "id": row["id"],
        "name": row["name"],
        "owner": row["owner"],
        "environment": row["environment"],
        "scopes": row["scopes"],
        "state": state_of(row, row["now"]),
        "ends_in": row["ending"],
        "connections": None if row["connections"] is None else names,
        "tenants": row["tenants"],
        "networks": None if row["networks"] is None else [str(network) for network in row["networks"]],
        "secret_prefixes": row["secret_prefixes"],
        "created_at": row["created_at"],
        "created_by": row["created_by"],
        "expires_at": row["expires_at"],
        "replaced_by": row["successor"],
        "revoked_at": row["revoked_at"],
        "last_used_at": row["last_used_at"],
        "last_used_from": None if row["last_used_from"] is None else str(row["last_used_from"]),
        "warnings": [{"code": each.code, "words": each.words} for each in warnings_of(row, row["now"])],
    }


def unknown_token(text: str) -> NotFound:
    return NotFound("unknown_token", f"There is no token {text}.", hint="`headrace token list` shows them.")


def _known_to(maker: Principal | None) -> dict[str, Any]:
    view = EVERYTHING if maker is None else maker.view
    return {**view, "self": None if maker is None else maker.token_id}


def _text(statement: str) -> Any:
    return statement
