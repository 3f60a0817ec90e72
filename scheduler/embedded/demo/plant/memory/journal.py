"""How does the demo plant outlive its process?

One file: a first line that says whose it is, then a line for each moment of change with the whole records that came of
it. A line is written before the change is shown to anybody, so a process that is killed has forgotten nothing that it
told. A line cut off by the kill was told to nobody and is dropped. Survives the process, not the machine: no fsync.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from scheduler.embedded.demo.plant.memory.store import Batch

FORMAT = 1


class Header(msgspec.Struct, frozen=True):
    seed: int
    factor: float
    format: int = FORMAT


class Line(msgspec.Struct, frozen=True, array_like=True):
    """`step` is how many steps of life were taken by then; `visible_at` is set where the commit is late."""

    step: int
    visible_at: int | None
    batch: Batch


class JournalError(Exception):
    """The file can't be used, and why."""


class Journal:
    """Open for appending, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: int | None = _lock(path)
        self._file: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def create(self, header: Header, lines: Iterable[Line]) -> None:
        """Write the file anew; who looks sees the old one or the new one whole."""
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(header) + b"\n")
            file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        self._close_file()

    def read(self, header: Header) -> Iterator[Line]:
        """All lines, oldest first. A last line that was cut off is removed from the file."""
        good = 0
        with self.path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):
                    break
                good += len(text)
                if number == 1:
                    self._check(text, header)
                    continue
                yield self._parse(text, number)
        if good == 0:
            raise JournalError(f"{self.path} is not a state file of the demo system.")
        if good < self.path.stat().st_size:
            os.truncate(self.path, good)

    def append(self, line: Line) -> None:
        """One write. Raises OSError (a full disk) with the file as it was before."""
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        text = msgspec.json.encode(line) + b"\n"
        before = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(text):
                written += os.write(self._file, text[written:])
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def close(self) -> None:
        self._close_file()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _check(self, text: bytes, wanted: Header) -> None:
        try:
            found = msgspec.json.decode(text, type=Header)
        except msgspec.MsgspecError as error:
            raise JournalError(f"{self.path} is not a state file of the demo system.") from error
        if found != wanted:
            raise JournalError(
                f"{self.path} was made with seed {found.seed}, size {found.factor}, format {found.format}; asked for "
                f"are seed {wanted.seed}, size {wanted.factor}, format {wanted.format}. "
                "Give the same ones, or remove the file to begin anew."
            )

    def _parse(self, text: bytes, number: int) -> Line:
        try:
            return _lines.decode(text)
        except msgspec.MsgspecError as error:
            raise JournalError(f"{self.path}:{number} is damaged. Remove the file to begin anew.") from error


_lines: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def _lock(path: Path) -> int:
    """Two processes must not append to one file. The lock ends with the process, however it ends."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"{path} is in use by another demo system.") from error
    return descriptor
