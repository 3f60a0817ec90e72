"""What do tests keep between runs, and how is it made only once?

Installing an ERP takes a minute, starting it a second, so what was installed stays in `.cache/` of this folder (or in
HEADRACE_TEST_CACHE), under a name that holds a digest of all that it was made from: another recipe is another name, and
nothing there is ever stale. Deleting the folder is always right.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TREE = Path(__file__).resolve().parents[2]
_WHOLE = ".whole"


class CouldNotMake(Exception):
    """Something could not be installed or built."""


def cache_folder() -> Path:
    """Where things are kept between runs; git ignores it."""
    folder = Path(os.environ.get("HEADRACE_TEST_CACHE") or _TREE / ".cache").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest_of(*recipe: str | bytes) -> str:
    """A short name for a recipe: other words, another name."""
    total = hashlib.sha256()
    for part in recipe:
        total.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return total.hexdigest()[:12]


def kept(name: str, make: Callable[[Path], None], *, younger_than: float | None = None) -> Path:
    """The folder of that name in the cache, filled by `make` unless it is there.

    Processes that ask at the same time wait for the one that makes it. What was left half-made, by a crash or a failure,
    is thrown away. It is made in its place, because a virtual environment can't be moved.
    """
    folder = cache_folder() / name
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = folder / _WHOLE
        if whole.exists() and (younger_than is None or time.time() - whole.stat().st_mtime < younger_than):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)
        whole.touch()
    return folder


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> None:
    """Run a step of making something; `CouldNotMake` with the end of what it said if it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=dict(os.environ) | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise CouldNotMake(f"{Path(command[0]).name}: {exc}") from exc
    if done.returncode:
        raise CouldNotMake(f"{Path(command[0]).name} ended with {done.returncode}: {done.stdout[-2000:]}")
