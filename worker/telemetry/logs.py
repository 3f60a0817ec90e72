"""How does every line that this process says reach people and files?

Promises: our own events and those of every library go through one chain: context bound once, a UTC time, exceptions as
text without local variables, and redaction last, so nothing is rendered before it. JSON lines in files and where
nobody watches, words for people on a terminal. Calling `configure_logging` again replaces what it did before.

Event names are static; data goes into keyword arguments: `log.info("page_loaded", records=500)`.
"""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.config import Settings
from worker.telemetry.files import FileOutput, StreamOutput
from worker.telemetry.redaction import redact_event, redactor

_FIRST = ("timestamp", "level", "event", "logger", "process", "pid")
_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_OWN_HANDLERS = (
    "celery",
    "kombu",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "sqlalchemy",
    "alembic",
    "flower",
)


def _timestamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


_CHAIN: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _timestamp,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    redact_event,
]
_OUR_CHAIN: list[Processor] = [*_CHAIN, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def configure_logging(
    settings: Settings, *, process: str, file: Path | None = None, stream: TextIO | None = None
) -> None:
    """Send all logging of this process, which plays the part `process`, to `stream` (standard output) and `file`."""
    _keep_own_secrets(settings)
    level = logging.getLevelNamesMapping()[settings.log_level]
    structlog.configure(
        processors=_OUR_CHAIN,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    target = stream or sys.stdout
    for_people = settings.log_format == "console" or (settings.log_format == "auto" and target.isatty())
    handlers: list[logging.Handler] = [StreamOutput(target)]
    handlers[0].setFormatter(_formatter(process, for_people=for_people, colors=target.isatty()))
    if file is not None:
        handlers.append(FileOutput(file))
        handlers[1].setFormatter(_formatter(process, for_people=False, colors=False))
    _install(handlers, level)
    _catch_uncaught()


@contextmanager
def bind_run(
    *,
    request_id: str | None = None,
    run_id: object = None,
    connection: str | None = None,
    stream: str | None = None,
    attempt: int | None = None,
) -> Iterator[None]:
    """Every event inside carries these. Threads serve one run after another, so nothing is left over before or after."""
    given = {
        "request_id": request_id,
        "run_id": None if run_id is None else str(run_id),
        "connection": connection,
        "stream": stream,
        "attempt": attempt,
    }
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        **{key: value for key, value in given.items() if value is not None}
    )
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()


def _keep_own_secrets(settings: Settings) -> None:
    """Passwords in our own settings are as secret as a system's."""
    for url in (settings.database_url, settings.broker_url):
        if url is not None:
            try:
                password = urlsplit(url.get_secret_value()).password
            except ValueError:
                password = url.get_secret_value()
            redactor.add(password or "", keep=True)
            redactor.add(unquote(password or ""), keep=True)
    if settings.api_token is not None:
        redactor.add(settings.api_token.get_secret_value(), keep=True)


def _formatter(process: str, *, for_people: bool, colors: bool) -> logging.Formatter:
    ending: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _Stamp(process)]
    if for_people:
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
        )
        ending += [_printable, renderer]
    else:
        ending.append(_as_json)
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_CHAIN, processors=ending)


_encode = json.JSONEncoder(default=str).encode  # made once: json.dumps makes one for each line


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _encode(event)


class _Stamp:
    """Adds who speaks, and puts first what a reader looks for first."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = self._process
        event["pid"] = os.getpid()
        first = {key: event.pop(key) for key in _FIRST if key in event}
        return {**first, **event}


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> Mapping[str, Any]:
    """A system's words can't move the cursor of a terminal or recolour it."""
    return {
        key: value.translate(_CONTROL) if isinstance(value, str) else value for key, value in event.items()
    }


class _Lowered(logging.Filter):
    """httpx says each request with its whole URL at INFO, and Celery each task twice: that is for debugging."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.INFO:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return record.levelno >= self._level


class _NamesOnly(logging.Filter):
    """httpcore says each answer's headers as they came: one may hold a session that nobody has read yet, so nobody masks it."""

    _HEADER = re.compile(r"""\((b'(?:[^'\\]|\\.)*'), b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\)""")

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and record.msg.startswith("receive_response_headers.complete"):
            record.msg = self._HEADER.sub(r"\1", record.msg)
        return True


def _install(handlers: list[logging.Handler], level: int) -> None:
    root = logging.getLogger()
    replaced = (StreamOutput, FileOutput, logging.StreamHandler, logging.FileHandler)
    for old in [handler for handler in root.handlers if type(handler) in replaced]:
        root.removeHandler(old)
        if isinstance(old, StreamOutput | FileOutput):
            old.close()
    for name in _OWN_HANDLERS:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    for name in ("httpx", "httpcore", "celery.worker.strategy", "celery.app.trace"):
        library = logging.getLogger(name)
        library.filters = [kept for kept in library.filters if not isinstance(kept, _Lowered)]
        library.addFilter(_Lowered(level))
        # Asked before a line is made, and for each message: what the filter would drop is not begun.
        library.setLevel(logging.WARNING if level == logging.INFO else logging.NOTSET)
    said = logging.getLogger("httpcore.http11")
    said.filters = [kept for kept in said.filters if not isinstance(kept, _NamesOnly)]
    said.addFilter(_NamesOnly())
    logging.captureWarnings(capture=True)


def _catch_uncaught() -> None:
    """An exception that nobody caught is said through the same chain, not printed as it is."""
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _say("uncaught_exception", (kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread else None
        _say("uncaught_exception_in_thread", (args.exc_type, args.exc_value, args.exc_traceback), thread=name)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        _say("exception_in_cleanup", (args.exc_type, args.exc_value, args.exc_traceback))


def _say(event: str, exc_info: _ExcInfo, **fields: object) -> None:
    structlog.get_logger("uncaught").critical(event, exc_info=exc_info, **fields)
