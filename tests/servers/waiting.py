"""Waiting for a condition, never for a time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 10.0, *, what: str = "the condition") -> T:
    """What the condition says as soon as it holds; fail when it doesn't in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        pause.wait(0.02)
    return found
