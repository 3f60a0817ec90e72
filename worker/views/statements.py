"""How is a statement carried out whose text was put together here? Without parameters, and never for long.

A view that somebody reads at the moment can't be replaced; waiting for him would make everybody behind us wait, too.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeAlias

import psycopg
from psycopg.rows import DictRow

from worker.errors import Transient

Transaction: TypeAlias = psycopg.Connection[DictRow]

LOCK_WAIT = "SET LOCAL lock_timeout = '400ms'"
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

P = ParamSpec("P")


def unless_busy(work: Callable[P, bool]) -> Callable[P, bool]:
    """The same, and False where somebody was in the way: then it is to be tried again."""

    @wraps(work)
    def tried(*args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            return work(*args, **kwargs)
        except Transient as exc:
            if isinstance(exc.__cause__, BUSY):
                return False
            raise

    return tried


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
