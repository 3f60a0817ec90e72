"""Does a view show few connections? Then what is of them is looked for one by one: among that of all others it would be
looked for in vain.
"""

from collections.abc import Sequence

from scheduler.connections.current import queries
from scheduler.connections.view import EVERYTHING, View
from worker.db.database import Database

FEW = 200
"""So many are asked one by one for what is newest."""


def few(database: Database, view: View) -> Sequence[int] | None:
    """Their numbers, where they are few."""
    if view == EVERYTHING:
        return None
    found = database.filtered(queries.connections_seen, {**view, "most": FEW + 1})
    return None if len(found) > FEW else [row["id"] for row in found]
