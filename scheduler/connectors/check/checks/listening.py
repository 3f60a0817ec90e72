"""Hears every line that this process logs, as it would be written, down to each request."""

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from worker.config import Settings
from worker.telemetry.logs import configure_logging


@contextmanager
def heard() -> Iterator[io.StringIO]:
    """What is logged meanwhile; afterwards logging is as it was."""
    root, said = logging.getLogger(), io.StringIO()
    handlers, level, made = root.handlers[:], root.level, structlog.get_config()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    for handler in handlers:
        root.removeHandler(handler)
    try:
        configure_logging(Settings(log_level="DEBUG", log_format="json"), process="check", stream=said)
        yield said
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
        structlog.configure(**made)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
