"""Which wire has this process? One, made at the first use and anew after a fork.

Two processes must not speak on one connection, and a child must not say goodbye in its parent's name.
"""

import os
from threading import Lock

from worker.http.wire.exchange import DirectWire


class _Process:
    """What must not survive a fork."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.wire: DirectWire | None = None


_process = _Process()
_inherited: list[_Process] = []


def _after_fork() -> None:
    """The parent's connections stay untouched, and their sockets open: closing TLS here would speak in its name."""
    global _process  # noqa: PLW0603
    _inherited.append(_process)
    _process = _Process()


os.register_at_fork(after_in_child=_after_fork)


def shared_wire() -> DirectWire:
    """The wire of this process."""
    process = _process
    if process.wire is not None:
        return process.wire
    with process.lock:
        if process.wire is None:
            process.wire = DirectWire()
        return process.wire


def close_shared_wire() -> None:
    """Close what is open; the next use opens anew."""
    process = _process
    with process.lock:
        if process.wire is not None:
            process.wire.close()
        process.wire = None
