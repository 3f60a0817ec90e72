"""Which connections and streams are there, and which does a person mean?

A name, the file's id or the number, whichever fits first; `live/plant` where both environments have one of that name.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import DictRow

from scheduler.access.principal import EVERYTHING
from scheduler.connections.current import queries
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.parsing.wording import suggest

ENVIRONMENTS = ("live", "test")

_LARGEST = 2**63


def find_connection(database: Database, text: str, view: Mapping[str, Any] = EVERYTHING) -> DictRow:
    """The connection of that name, file's id or number, or `NotFound` with the nearest name; both as far as `view` goes."""
    environment, slash, name = text.partition("/")
    if not slash or environment not in ENVIRONMENTS:
        environment, name = "", text
    try:
        with database.connection() as opened:
            return find_connection_in(opened, name, environment or None, view)
    except InvalidInput as exc:
        if exc.code != "ambiguous_connection":
            raise
        raise InvalidInput(exc.code, exc.message, hint=f"Say live/{name} or test/{name}.") from None


def list_connections(
    database: Database,
    *,
    limit: int,
    after: tuple[str, int] = ("", 0),
    system: str | None = None,
    view: Mapping[str, Any] = EVERYTHING,
) -> list[DictRow]:
    """Connections in the order of their names, from behind `after`, each with what its streams are up to."""
    params = {"limit": limit, "after_name": after[0], "after_id": after[1], "system": system, **view}
    return database.filtered(queries.list_connections, params)


def streams_of(database: Database, connection_id: int) -> list[DictRow]:
    """The streams of a connection, with their schedule, their last outcome and what they do now."""
    return database.all(queries.streams_of, {"connection": connection_id})


def find_stream(database: Database, connection: Mapping[str, Any], name: str) -> DictRow:
    """The connection's stream of that name, or `NotFound` with the nearest one."""
    found = streams_of(database, connection["id"])
    for row in found:
        if row["name"] == name:
            return row
    raise unknown_stream(connection["name"], name, [row["name"] for row in found])


def unknown_stream(connection: str, name: str, known: list[str]) -> NotFound:
    return NotFound(
        "unknown_stream", f"{connection} has no stream {name!r}.", hint=suggest(name, known) or None
    )


def find_connection_in(
    connection: psycopg.Connection[DictRow],
    name_or_id: str,
    environment: str | None = None,
    view: Mapping[str, Any] = EVERYTHING,
) -> DictRow:
    """Its row, in the caller's transaction. `InvalidInput` where the name means one in each environment."""
    number = int(name_or_id) if name_or_id.isascii() and name_or_id.isdecimal() else 0
    given = name_or_id.replace("\0", "")
    params = {
        "given": given,
        "number": number if number < _LARGEST else 0,
        "wanted": environment,
        **view,
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
        raise _no_connection(connection, name_or_id, environment, view)
    found = best[0]
    del found["rank"]
    return found


def _no_connection(
    connection: psycopg.Connection[DictRow], given: str, environment: str | None, view: Mapping[str, Any]
) -> NotFound:
    rows = connection.execute(_text(queries.connection_names), {"wanted": environment, **view}).fetchall()
    where = f" in {environment}" if environment else ""
    return NotFound(
        "unknown_connection",
        f"There is no connection {given!r}{where}.",
        hint=suggest(given, [row["name"] for row in rows]) or "Add one with `headrace apply FILE`.",
    )


def _text(statement: str) -> Any:
    return statement
