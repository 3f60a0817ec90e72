"""Who owns this home now, and where do its servers listen?

One `headrace up` at a time holds a home: a lock of the kernel's, gone with the process however it ends. What it started
is written to `endpoints.json`, from which the other commands learn the URLs (see worker/config.py). The URLs hold
passwords, so the file is private and appears whole or not at all.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from scheduler.embedded.private_files import make_private_folder, read_or_none, write_private
from worker.config import ENDPOINTS_FILE
from worker.errors import NeedsOperator

LOCK_FILE = "lock"


def write_endpoints(home: Path, urls: Mapping[str, str]) -> None:
    """Say where things listen: `database_url`, `broker_url`, and addresses for people such as `api_url`."""
    make_private_folder(home)
    write_private(home / ENDPOINTS_FILE, json.dumps(dict(urls), indent=2) + "\n")


def read_endpoints(home: Path) -> dict[str, str]:
    """What was written last; nothing if no `headrace up` runs, or if the file is no use."""
    try:
        found = json.loads(read_or_none(home / ENDPOINTS_FILE) or "{}")
    except ValueError:
        return {}
    return {str(name): str(url) for name, url in found.items()} if isinstance(found, dict) else {}


def clear_endpoints(home: Path) -> None:
    """Nothing listens any more."""
    with suppress(FileNotFoundError):
        (home / ENDPOINTS_FILE).unlink()


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Own the home, or the error `home_in_use`. Children don't inherit the lock, so none can keep it alive."""
    make_private_folder(home)
    handle = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _home_in_use(home, os.pread(handle, 32, 0)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _home_in_use(home: Path, holder: bytes) -> NeedsOperator:
    pid = holder.decode(errors="replace").strip()
    return NeedsOperator(
        "home_in_use",
        f"Another `headrace up`{f' (process {pid})' if pid.isdecimal() else ''} is using {home}.",
        hint="Stop that one first, or set HEADRACE_HOME to another folder.",
    )
