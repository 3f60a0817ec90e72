"""Secrets in files that the worker may read: `file:///run/secrets/token`.

Read anew at each use, so a secret that was rotated in place is seen at once. One newline at the end is not part of the
value: editors and `echo` add it.
"""

import os
import stat
from contextlib import closing
from io import FileIO
from pathlib import PurePosixPath

from worker.errors import NeedsOperator

LARGEST = 64 * 1024


def fault(path: str) -> str | None:
    """What is wrong with the path, in words that don't repeat it."""
    if "\0" in path or "\n" in path:
        return "holds a character that no path has"
    if not PurePosixPath(path).is_absolute():
        return "doesn't name an absolute path after file://"
    return None


def read(path: str) -> str:
    """The file's text. Anything that can't be a secret (a folder, a pipe, nothing, too much) is refused."""
    try:
        raw = _content(path)
    except OSError as exc:
        raise _unresolved(path, (exc.strerror or "it can't be read").lower()) from None
    if len(raw) > LARGEST:
        raise _unresolved(path, f"it is larger than {LARGEST // 1024} kB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unresolved(path, "it isn't UTF-8 text") from None
    value = text.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise _unresolved(path, "it is empty")
    return value


def _content(path: str) -> bytes:
    """Opened without waiting, since a pipe in the file's place would hold up the worker for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with closing(FileIO(descriptor)) as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unresolved(path, "it isn't a file")
        raw = b""
        while len(raw) <= LARGEST and (more := opened.read(LARGEST + 1)):
            raw += more
        return raw


def _unresolved(path: str, why: str) -> NeedsOperator:
    return NeedsOperator(
        "secret_unresolved",
        f"file://{path} can't be opened: {why}.",
        hint="The file must exist, hold the secret alone and be readable by the user that runs the worker.",
    )
