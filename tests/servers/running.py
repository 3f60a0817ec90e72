"""How does a test start somebody else's server and be sure that it ends?

As a child whose pid is written beside its log, and that the kernel ends with this process, should we be killed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from scheduler.embedded.supervisor.processes import Child, spawn

_NEVER = threading.Event()


@contextmanager
def running(
    program: Sequence[str | Path],
    *,
    folder: Path,
    answers: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    patience: float = 90.0,
) -> Iterator[Child]:
    """A server in `folder` that answers; stopped in the end. Its words go to `server.log`, its pid to `server.pid`."""
    log_file = folder / "server.log"
    with log_file.open("ab") as log:
        child = spawn(program, log=log, env=dict(os.environ) | dict(env or {}), folder=folder)
    try:
        (folder / "server.pid").write_text(f"{child.pid}\n")
        if not _comes_up(child, answers, patience):
            raise RuntimeError(
                f"{program[0]} did not come up:\n{log_file.read_text(errors='replace')[-4000:]}"
            )
        yield child
    finally:
        child.stop(signal.SIGTERM, 5.0)


def _comes_up(child: Child, answers: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while child.alive and time.monotonic() < deadline:
        if answers():
            return child.alive
        _NEVER.wait(0.05)
    return False
