"""Where do a part's words go, and what were its last ones?

To `<home>/log/<part>.log`, appended. What is there is set aside as `<part>.log.1` when a part starts with more than
10 MB, or while it runs with more than 50 MB, so that a part which lives for months doesn't fill the disk.
"""

import os
import shutil
from pathlib import Path
from typing import IO

from scheduler.embedded.private_files import make_private_folder

ROTATE_AT = 10 * 1024 * 1024
ROTATE_LIVE_AT = 50 * 1024 * 1024
_TAIL_BYTES = 16 * 1024


def log_path(home: Path, part: str) -> Path:
    """The part's log file; its folder is made."""
    return make_private_folder(home / "log") / f"{part}.log"


def open_log(home: Path, part: str) -> IO[bytes]:
    """The log, open at its end, for a process that is about to start."""
    path = log_path(home, part)
    if path.exists() and path.stat().st_size > ROTATE_AT:
        path.replace(path.with_name(path.name + ".1"))
    log = path.open("ab")
    path.chmod(0o600)
    return log


def trim_log(path: Path) -> bool:
    """Set a long log aside under the feet of the process that writes it; whether that was done.

    It goes on at the new end, as the log is open for appending. A line written at this very moment may be lost.
    """
    if not path.exists() or path.stat().st_size <= ROTATE_LIVE_AT:
        return False
    aside = path.with_name(path.name + ".1")
    shutil.copyfile(path, aside)
    aside.chmod(0o600)
    os.truncate(path, 0)
    return True


def last_lines(path: Path, count: int = 15, *, since: int = 0) -> str:
    """The last lines, of those written after the position `since`."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(min(since, size), size - _TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""
