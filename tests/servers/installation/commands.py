"""The `headrace` command in the test's own process: what it said, and how it ended."""

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from scheduler.cli.entry import run


class Said:
    """What a command said, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


@contextmanager
def commands(
    database_url: str,
    broker_url: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Commands on this database, in a home of their own."""
    for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADRACE_HOME", str(home))
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    monkeypatch.setenv("HEADRACE_BROKER_URL", broker_url)
    handlers = list(logging.getLogger().handlers)
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook

    def command(*arguments: str) -> Said:
        capfd.readouterr()
        code = run(arguments)
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    assert command("migrate").code == 0
    yield command
    logging.getLogger().handlers[:] = handlers
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()


def hear_interrupts() -> None:
    """Whoever started these tests in the background had Ctrl-C ignored, for their children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
