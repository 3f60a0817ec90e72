"""Where do a part's words go, and what were its last ones?

To `<home>/log/<part>.log`, appended, and set aside as `<part>.log.1` when a part starts with more than 10 MB there.
"""

from pathlib import Path
from typing import IO

from scheduler.embedded.private_files import make_private_folder

ROTATE_AT = 10 * 1024 * 1024
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


def last_lines(path: Path, count: int = 15, *, since: int = 0) -> str:
    """The last lines, of those written after the position `since`."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(min(since, size), size - _TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""
