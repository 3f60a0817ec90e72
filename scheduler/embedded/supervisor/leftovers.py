"""Which processes did a supervisor that is gone leave behind?

Each part, and whatever a part started, carries the home in its environment. Whoever holds the lock of the home is the only
supervisor, so a process with that mark that it didn't start is a leftover. Postgres and Valkey don't carry it: their
launchers find and take over their own.
"""

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

from scheduler.embedded.supervisor.parts import SUPERVISED_MARK

log = structlog.get_logger()


def end_leftovers(home: Path, *, patience: float = 3.0, spare: Collection[int] = ()) -> list[int]:
    """End them: asked first, killed after `patience` seconds. Their pids. Call only while holding the home."""
    found = _marked(home, spare)
    for process in found:
        log.warning("leftover_ended", child_pid=process.pid)
        with suppress(psutil.Error):
            process.send_signal(signal.SIGTERM if patience > 0 else signal.SIGKILL)
    _, stubborn = psutil.wait_procs(found, timeout=patience or 1.0)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=1.0)
    return [process.pid for process in found]


def _marked(home: Path, spare: Collection[int]) -> list[psutil.Process]:
    ourselves = {os.getpid(), *(parent.pid for parent in psutil.Process().parents()), *spare}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid not in ourselves and process.environ().get(SUPERVISED_MARK) == str(home):
                found.append(process)
    return found
