"""Does a view show few connections? Then what is of them is looked for one by one: among that of all others it would be
looked for in vain.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from scheduler.connections.current import queries
from scheduler.connections.view import EVERYTHING, View, seen
from worker.db.database import Database
from worker.db.tables import connections

FEW = 200
"""So many are asked one by one for what is newest."""


def few(database: Database, view: View) -> Sequence[int] | None:
    """Their numbers, where they are few."""
    if view == EVERYTHING:
        return None
    found = database.filtered(queries.connections_seen, {**view, "most": FEW + 1})
    return None if len(found) > FEW else [row["id"] for row in found]


def shown(database: Database, view: View) -> Sequence[int] | Select[Any]:
    """The numbers of what a view shows; where they are many, the statement that finds them."""
    found = few(database, view)
    return select(connections.c.id).where(seen(view)) if found is None else found
