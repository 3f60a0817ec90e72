"""How is a statement carried out whose text was put together here? Without parameters, and never for long.

A view that somebody reads at the moment can't be replaced; waiting for him would make everybody behind us wait, too.
"""

from typing import Any, TypeAlias

import psycopg
from psycopg.rows import DictRow

Transaction: TypeAlias = psycopg.Connection[DictRow]

LOCK_WAIT = "SET LOCAL lock_timeout = '400ms'"
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def ready(tx: Transaction) -> None:
    """Before the first statement of a transaction that makes views."""
    tx.execute("SET LOCAL standard_conforming_strings = on")
    tx.execute(LOCK_WAIT)


def carry_out(tx: Transaction, text: str) -> psycopg.Cursor[DictRow]:
    """A statement of text that is quoted; a % in it is a %."""
    return tx.execute(text)


def rows(tx: Transaction, statement: str, params: dict[str, Any] | None = None) -> list[DictRow]:
    """The rows of a named statement."""
    return tx.execute(statement, params).fetchall()


def run(tx: Transaction, statement: str, params: dict[str, Any] | None = None) -> None:
    """A named statement without rows."""
    tx.execute(statement, params)
