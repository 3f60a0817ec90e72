"""How well do a connection's webhooks tell of what changes? The reads behind the command line and the API."""

from collections.abc import Mapping
from typing import Any

from psycopg.rows import DictRow

from scheduler.connections.view import EVERYTHING, View
from worker.db.database import Database
from worker.db.queries import load_queries

sql = load_queries("scheduler.webhooks", "numbers.sql")

DAYS = 7


def numbers_of(
    database: Database,
    *,
    connection_id: int | None = None,
    days: int = DAYS,
    limit: int = 1000,
    after: tuple[str, int] = ("", 0),
    view: View = EVERYTHING,
) -> list[DictRow]:
    """Each connection that takes webhooks, with what came in so many days; one that is named in any case."""
    asked = {
        "connection": connection_id, "days": days, "limit": limit, "after_name": after[0], "after_id": after[1],
        **view,
    }  # fmt: skip
    return database.all(sql.webhook_numbers, asked)


def numbers_by_stream(database: Database, connection_id: int, *, days: int = DAYS) -> list[DictRow]:
    """The same of each stream of one connection."""
    return database.all(sql.stream_numbers, {"connection": connection_id, "days": days})


def nobodys(database: Database, *, days: int = DAYS) -> int:
    """How many came for names that no connection has."""
    row = database.one(sql.nobodys, {"days": days})
    return int(row["refused"]) if row else 0


def miss_ratio(row: Mapping[str, Any]) -> float | None:
    """Which share of the changes no webhook told of; None: nothing changed."""
    changes = row["told"] + row["missed"]
    return row["missed"] / changes if changes else None


def counts_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that a connection and a stream share."""
    return {
        "received": row["received"],
        "repeated": row["repeated"],
        "told": row["told"],
        "missed": row["missed"],
        "unheard": row["unheard"],
        "miss_ratio": miss_ratio(row),
        "pending": row["pending"],
    }


def connection_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A connection's webhooks as the API tells of them."""
    registration = None
    if row["registration"] is not None:
        registration = {
            "state": row["registration"],
            "error": row["registration_error"],
            "expires_at": row["expires_at"],
        }
    return {
        "connection": row["connection"],
        "connection_id": row["id"],
        "environment": row["environment"],
        "tenant": row["tenant"],
        "system": row["system"],
        **counts_json(row),
        "refused": row["refused"],
        "last_received_at": row["last_at"],
        "registration": registration,
    }


def stream_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a stream. `stretch`: by how much its interval is stretched while webhooks tell of everything."""
    return {
        "stream": row["stream"],
        **counts_json(row),
        "poll": row["poll"] or "fixed",
        "stretch": row["stretch"] if row["poll"] == "adaptive" else 1.0,
    }
