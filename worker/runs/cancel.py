"""How is a run stopped by a person? A queued one ends at once, a running one at its next page."""

from typing import Literal
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import NotFound


def cancel_run(database: Database, run_id: UUID) -> Literal["cancelled", "cancelling"]:
    """Cancel an open run. Raises `NotFound` where no open run has this id."""
    for _ in range(2):  # it may be claimed between the two statements, or given back
        with database.transaction() as connection:
            if cancel_in(connection, run_id):
                return "cancelled"
        if database.one(sql.cancel_running, {"run": run_id}):
            return "cancelling"
    raise NotFound(
        "unknown_run",
        f"No open run has the id {run_id}.",
        hint="`headrace runs` lists runs; ended ones stay ended.",
    )


def cancel_in(connection: psycopg.Connection[DictRow], run_id: UUID) -> bool:
    """Cancel the run if it is queued, in the caller's transaction. A history stays so until somebody asks for it."""
    if connection.execute(sql.cancel_queued, {"run": run_id}).fetchone() is None:
        return False
    connection.execute(sql.pause_cancelled_history, {"run": run_id})
    return True
