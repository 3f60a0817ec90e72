"""How do several processes write one log file that is also rotated?

Promises: every line is whole (one append each), whichever process wrote it; at `most_bytes` one process, holding a lock
file, moves the old files on, and the others notice and follow. A line that can't be written (full disk, closed
terminal) is lost and said once on stderr, without its words, which may not have been redacted; work goes on.
"""

import contextlib
import fcntl
import logging
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

MOST_BYTES = 50 * 1024 * 1024
KEPT = 5


class QuietErrors(logging.Handler):
    """Says the first failure of each kind, and never what it failed to write."""

    _said: type[BaseException] | None = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        del record
        kind = sys.exc_info()[0]
        if kind is None or kind is self._said:
            return
        self._said = kind
        with contextlib.suppress(Exception):
            sys.stderr.write(f"A log line could not be written: {kind.__name__}\n")


class StreamOutput(QuietErrors, logging.StreamHandler[Any]):
    """A terminal, or what catches our standard output."""


class FileOutput(QuietErrors, WatchedFileHandler):
    """A file shared by the processes that were given its path."""

    def __init__(self, file: Path, *, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(file, mode="a", encoding="utf-8", errors="backslashreplace", delay=True)
        self._most_bytes = most_bytes
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, then make room if that filled the file."""
        try:
            super().emit(record)
            if self.stream is not None and self.stream.tell() >= self._most_bytes:
                self._rotate()
        except (OSError, ValueError):  # the folder is gone, the disk has no room even to open a file
            self.handleError(record)

    def _rotate(self) -> None:
        with Path(f"{self.baseFilename}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if Path(self.baseFilename).stat().st_size < self._most_bytes:
                return  # another process was quicker; the next line goes to its new file
            for number in range(self._kept - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.baseFilename}.{number}").replace(f"{self.baseFilename}.{number + 1}")
            Path(self.baseFilename).replace(f"{self.baseFilename}.1")
