"""Waiting for a condition, never for a time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from worker.db.database import Database

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 10.0, *, what: str = "the condition") -> T:
    """What the condition says as soon as it holds; fail when it doesn't in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        pause.wait(0.02)
    return found


@contextmanager
def beside(work: Callable[[], Any]) -> Iterator[list[BaseException]]:
    """Do `work` in a thread of its own; the errors that it met, complete at the end of the block."""
    met: list[BaseException] = []

    def carry_out() -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - the test looks at it
            met.append(exc)

    thread = threading.Thread(target=carry_out)
    thread.start()
    try:
        yield met
    finally:
        thread.join(timeout=30)


def waiting(database: Database) -> int:
    row = database.one(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    assert row is not None
    found: int = row["n"]
    return found
