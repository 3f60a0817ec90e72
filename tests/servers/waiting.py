"""Waiting for a condition, never for a time."""

import threading
import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object], timeout: float = 10.0, *, what: str = "the condition"
) -> None:
    """Return as soon as the condition holds; fail when it doesn't in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        pause.wait(0.02)
