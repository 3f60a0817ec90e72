"""Which connection or stream does a person mean? A name, the file's id or the number, whichever fits first."""

from typing import Any

import psycopg
from psycopg.rows import DictRow

from scheduler.connections.current import queries
from worker.db.database import Database
from worker.documents import suggest
from worker.errors import InvalidInput, NotFound

_LARGEST = 2**63


def find_connection(database: Database, name_or_id: str, environment: str | None = None) -> DictRow:
    """The connection's row. Raises `NotFound`, or `InvalidInput` where the name means one in each environment."""
    with database.connection() as connection:
        return find_connection_in(connection, name_or_id, environment)


def find_connection_in(
    connection: psycopg.Connection[DictRow], name_or_id: str, environment: str | None = None
) -> DictRow:
    """The same in the caller's transaction."""
    number = int(name_or_id) if name_or_id.isascii() and name_or_id.isdecimal() else 0
    given = name_or_id.replace("\0", "")
    params = {
        "given": given,
        "number": number if number < _LARGEST else 0,
        "environment": environment,
    }
    rows = connection.execute(_text(queries.find_connections), params).fetchall()
    best = [row for row in rows if row["rank"] == rows[0]["rank"]]
    if len(best) > 1:
        raise InvalidInput(
            "ambiguous_connection",
            f"There is a connection {name_or_id!r} in live and in test.",
            hint="Say which: "
            + " or ".join(f"--environment {row['environment']} (or its number, {row['id']})" for row in best)
            + ".",
        )
    if not best:
        raise _no_connection(connection, name_or_id, environment)
    found = best[0]
    del found["rank"]
    return found


def find_stream(database: Database, connection_id: int, name: str) -> DictRow:
    """The stream's row. Raises `NotFound` with the nearest name."""
    rows = database.all(queries.streams_of, {"connection": connection_id})
    for row in rows:
        if row["name"] == name:
            return row
    raise NotFound(
        "unknown_stream",
        f"The connection has no stream {name!r}.",
        hint=suggest(name, [row["name"] for row in rows]) or "It has no streams at all.",
    )


def _no_connection(connection: psycopg.Connection[DictRow], given: str, environment: str | None) -> NotFound:
    rows = connection.execute(_text(queries.connection_names), {"environment": environment}).fetchall()
    where = f" in {environment}" if environment else ""
    return NotFound(
        "unknown_connection",
        f"There is no connection {given!r}{where}.",
        hint=suggest(given, [row["name"] for row in rows]) or "Add one with `headrace apply FILE`.",
    )


def _text(statement: str) -> Any:
    return statement
