"""Where do a tap's config, catalog and state lie while it runs? In memory where there is room for that, for nobody else.

Two folders: `private` holds the secrets (tmpfs where there is one, mode 0700, files 0600), `work` is the program's home and
the place of its own files. Both go with the tap. What a killed keeper left is swept before the next tap starts: a lock that
nobody holds tells it from what is in use. Emits: tap_folders_swept.
"""

import fcntl
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made in it is ours alone
PREFIX = "headrace-tap-"
LOCK = "in-use"
YOUNG = 60.0
"""Seconds for which a folder without a held lock may still be in the making."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Folders:
    """The two folders of one tap that runs, and the open file whose lock says so."""

    private: Path
    work: Path
    lock: int

    def write(self, name: str, content: bytes) -> Path:
        """A file that only we may read."""
        path = self.private / name
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return path

    def abandon(self) -> None:
        """Nothing will run in them."""
        os.close(self.lock)
        self.remove()

    def remove(self) -> None:
        """All of it. Harmless twice."""
        shutil.rmtree(self.private, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)


def make_folders(home: Path) -> Folders:
    """New ones, below Headrace's home where there is no memory to take."""
    works = _works(home)
    works.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_memory() or works))
    lock = os.open(private / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    work = works / f"{private.name}.work"
    work.mkdir(mode=0o700)
    return Folders(private, work, lock)


def sweep_folders(home: Path, *, now: float | None = None) -> int:
    """Remove what no living tap holds. How many folders that were."""
    moment = time.time() if now is None else now
    works = _works(home)
    found = [path for place in {_memory(), works} if place for path in place.glob(f"{PREFIX}*")]
    swept = sum(_sweep(path, works, moment) for path in found)
    if swept:
        log.warning("tap_folders_swept", folders=swept)
    return swept


def _sweep(path: Path, works: Path, now: float) -> bool:
    try:
        about = path.stat()
        if about.st_uid != os.getuid() or now - about.st_mtime < YOUNG or _is_in_use(path, works):
            return False
    except OSError:  # it has just gone
        return False
    shutil.rmtree(path, ignore_errors=True)
    return True


def _is_in_use(path: Path, works: Path) -> bool:
    name = path.name.removesuffix(".work")
    for place in (_memory(), works):
        if place is None or not (place / name / LOCK).exists():
            continue
        handle = os.open(place / name / LOCK, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
    return False


def _works(home: Path) -> Path:
    return home / "taps" / "work"


def _memory() -> Path | None:
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None
