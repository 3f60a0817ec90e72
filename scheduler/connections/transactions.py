"""How does a transaction over many rows get through beside workers that write?

Workers lock runs and streams too, in their own order. Postgres ends one of two that wait for each other; if it was us,
nothing was done and the whole is done again.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.rows import DictRow

from worker.errors import Transient

Result = TypeVar("Result")
Transaction = psycopg.Connection[DictRow]
ATTEMPTS = 5


def execute(tx: Transaction, statement: str, params: Mapping[str, Any] | None = None) -> list[DictRow]:
    """Carry out one statement; its rows, or none where it has none."""
    cursor = tx.execute(statement, params)
    return cursor.fetchall() if cursor.description else []


def retrying(work: Callable[[], Result]) -> Result:
    """Do the work, again where it was the victim of a deadlock."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except Transient as exc:
            victim = isinstance(exc.__cause__, psycopg.errors.DeadlockDetected)
            if isinstance(exc.__cause__, psycopg.errors.LockNotAvailable) or (victim and attempt == ATTEMPTS):
                raise Transient(
                    "connections_busy",
                    "Somebody else is changing these connections, and didn't come to an end. Nothing was changed.",
                    hint="Try again in a minute.",
                ) from exc
            if not victim:
                raise
    raise AssertionError("the last attempt returns or raises")
