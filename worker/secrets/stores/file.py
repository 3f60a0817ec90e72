"""Secrets in files that the worker may read: `file:///run/secrets/token`.

Read anew at each use, so a secret that was rotated in place is seen at once. One newline at the end is not part of the
value: editors and `echo` add it. Written by a new file in the old one's place, with its rights, so nobody reads half.
"""

import os
import stat
from contextlib import closing, suppress
from io import FileIO
from pathlib import Path
from tempfile import mkstemp

from worker.errors import NeedsOperator
from worker.secrets.stores.port import not_writable, unresolved

LARGEST = 64 * 1024


class FileStore:
    """The files of this machine."""

    cached = False

    def canonical(self, name: str) -> str:
        if not name.isprintable():
            raise ValueError("holds a character that no path has")
        if not name.startswith("/"):
            raise ValueError("doesn't name an absolute path after file://")
        if {".", ".."} & set(name.split("/")):
            raise ValueError("goes by way of . or .., which could lead out of where it seems to be")
        return name

    def place(self, name: str) -> str:
        del name
        return "the file system"

    def read(self, name: str) -> str:
        """The file's text. Anything that can't be a secret (a folder, a pipe, nothing, too much) is refused."""
        try:
            raw = _content(name)
        except OSError as exc:
            raise _unresolved(name, (exc.strerror or "it can't be read").lower()) from None
        if len(raw) > LARGEST:
            raise _unresolved(name, f"it is larger than {LARGEST // 1024} kB")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _unresolved(name, "it isn't UTF-8 text") from None
        value = text.removesuffix("\n").removesuffix("\r")
        if not value.strip():
            raise _unresolved(name, "it is empty")
        return value

    def writable(self, name: str) -> bool:
        """The folder takes a new file, and what is there is a file that may be replaced."""
        target = Path(os.path.realpath(name))
        if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
            return False
        return target.parent.is_dir() and os.access(target.parent, os.W_OK | os.X_OK)

    def write(self, name: str, value: str) -> None:
        try:
            _replace(Path(os.path.realpath(name)), value)
        except OSError as exc:
            raise not_writable(f"file://{name}", (exc.strerror or "it can't be written").lower()) from None

    def compare_and_set(self, name: str, expected: str, value: str) -> bool:
        """No file system compares and replaces in one step: whoever calls holds a lock."""
        if self.read(name) != expected:
            return False
        self.write(name, value)
        return True

    def remove(self, name: str) -> None:
        try:
            Path(name).unlink(missing_ok=True)
        except OSError as exc:
            raise not_writable(f"file://{name}", (exc.strerror or "it can't be removed").lower()) from None


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


def _replace(target: Path, value: str) -> None:
    """On the disk before the name leads to it: after a crash one of the two is there, whole."""
    descriptor, draft = mkstemp(prefix=f".{target.name}.", dir=target.parent)  # readable by its owner alone
    try:
        with FileIO(descriptor, "w") as opened:
            with suppress(FileNotFoundError):
                before = target.stat()
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                with suppress(PermissionError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            opened.write(value.encode())
            os.fsync(descriptor)
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unresolved(path: str, why: str) -> NeedsOperator:
    hint = "The file must exist, hold the secret alone and be readable by the user that runs the worker."
    return unresolved(f"file://{path}", why, hint)
