"""Which columns has what is read, and are those that the stream names among them?

Looked at when a window begins, so a table that has changed since is seen as it is. What is wrong is said with the nearest
name that is right.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from worker.connectors.protocols.sql_asking import Asking
from worker.errors import NeedsOperator
from worker.parsing.documents import suggest
from worker.sql.opening import Opened
from worker.sql.statement import AS_BASE64, AS_TEXT, Column, look

NUMERIC, BYTEA = 1700, 17
"""Types of Postgres, by their numbers."""
_WRITTEN = {NUMERIC: AS_TEXT, BYTEA: AS_BASE64}
MOST_NAMES = 5000


def columns_of(opened: Opened, asking: Asking) -> tuple[Column, ...]:
    """All columns, in their order; `NeedsOperator` where one that the stream names isn't among them."""
    if opened.target.is_postgres or opened.target.is_sqlite or asking.query:
        result = opened.connection.execute(look(asking))
        cursor = result.cursor
        described: Sequence[Any] = () if cursor is None else cursor.description or ()
        written = _WRITTEN if opened.target.is_postgres else {}
        columns = tuple(Column(each[0], written.get(each[1], "")) for each in described)
        result.close()
    else:
        columns = _inspected(opened, asking)
    check_columns(asking, [column.name for column in columns])
    return columns


def _inspected(opened: Opened, asking: Asking) -> tuple[Column, ...]:
    """With the kinds of those that parameters are compared with."""
    *schema, name = asking.table
    try:
        found = sa.inspect(opened.connection).get_columns(name, schema[0] if schema else None)
    except NoSuchTableError:
        raise NeedsOperator(
            "no_table", f"There is no table {asking.relation}.", hint=nearest_table(opened, asking)
        ) from None
    return tuple(Column(each["name"], kind=_kind(each["type"])) for each in found)


def check_columns(asking: Asking, names: Sequence[str]) -> None:
    """Pure."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = f"The {asking.relation} has two columns of the name {twice!r}."
        raise NeedsOperator("bad_query", message, hint="Give each a name of its own: select … as other_name.")
    for wanted in dict.fromkeys([*asking.key, *asking.cursor, *asking.fields, *asking.equals]):
        if wanted not in names:
            raise NeedsOperator(
                "no_column",
                f"{asking.relation} has no column {wanted!r}.",
                hint=suggest(wanted, names) or None,
            )


def nearest_table(opened: Opened, asking: Asking) -> str | None:
    """A hint for a table that isn't there, as far as the database says what is."""
    if not asking.table:
        return None
    *schema, name = asking.table
    try:
        opened.connection.rollback()
        inspector = sa.inspect(opened.connection)
        known: Collection[str] = inspector.get_table_names(schema[0] if schema else None)
        known = [*known, *inspector.get_view_names(schema[0] if schema else None)][:MOST_NAMES]
    except SQLAlchemyError:
        return None
    return suggest(name, known) or None


def _kind(found: Any) -> str:
    if isinstance(found, sa.DateTime):
        return "zoned" if found.timezone else "datetime"
    return "date" if isinstance(found, sa.Date) else ""
