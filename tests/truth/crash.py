"""A process that dies between two statements: what it had not committed is gone, and nobody writes down what happened."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest


class Crash(BaseException):
    """Not an Exception: nothing in a process that was killed settles its runs."""


class Crashing:
    """Counts the statements that one thread sends to Postgres, and ends it at one of them."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._left = 0
        self._after = False
        self.sent = 0

    @contextmanager
    def armed(self, left: int, *, after: bool) -> Iterator[None]:
        """Crash at the `left`th statement of this thread: before it is sent, or once it was carried out."""
        self._thread, self._left, self._after, self.sent = threading.get_ident(), left, after, 0
        try:
            yield
        finally:
            self._thread = None

    def around(self, send: Any) -> Any:
        """The method of psycopg with a crash before or after it, where one is due."""

        def sending(*args: Any, **more: Any) -> Any:
            due = self._is_due()
            if due and not self._after:
                raise Crash
            answer = send(*args, **more)
            if due:
                raise Crash
            return answer

        return sending

    def _is_due(self) -> bool:
        if threading.get_ident() != self._thread:
            return False
        self.sent += 1
        return self.sent == self._left


def patched(monkeypatch: pytest.MonkeyPatch) -> Crashing:
    """Every statement of this process may be the last from here on."""
    found = Crashing()
    for method in ("execute", "copy", "executemany"):
        monkeypatch.setattr(psycopg.Cursor, method, found.around(getattr(psycopg.Cursor, method)))
    return found
