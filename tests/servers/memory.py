"""Where do the servers of a test session keep their files? In memory, where the machine has a folder there with room.

A fresh database is some 650 files; on a disk making them takes half a second, in memory a thirtieth of that.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "headrace-tests-"
ROOM = 6 * 1024**3
"""Bytes that must be free: containers often have 64 MB there."""


@contextmanager
def memory_folder(otherwise: Path, *, memory: Path = MEMORY) -> Iterator[Path]:
    """A folder of this session's own, gone at its end; `otherwise` where there is no room in memory."""
    if not (os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free >= ROOM):
        yield otherwise
        return
    _forget_dead(memory)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=memory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_dead(memory: Path) -> None:
    """What sessions left that were killed."""
    for left in memory.glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
