"""A connection to a double, with all that a worker process has for it."""

import atexit
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from scheduler.connectors.check.double.any_double import AnyDouble
from scheduler.connectors.check.driving.budget import Lenient
from worker.connectors.contract import Connector, Source
from worker.engine.fetching.ahead import Ahead
from worker.engine.fetching.sizes import PageSize
from worker.http.carrier import Carrier
from worker.http.sender import CallContext, Sender
from worker.runs.states import Lane
from worker.telemetry.steps import Steps

CONNECTION = 1
SMALLEST = 64
FEW = 5
"""Records in a small page, at least."""
TIMEOUT = 5.0
MOST_BYTES = 32 * 1024 * 1024


@dataclass
class Account:
    """One process's means to read one double. `begun_anew` is another process's, that has nothing but what was committed."""

    makes: Callable[[], Connector]
    """The connector as a process reads it from its manifest."""
    double: AnyDouble
    secrets: Mapping[str, str]
    """References to them."""
    settings: Mapping[str, Any]
    timeout: float = TIMEOUT
    max_bytes: int = MOST_BYTES
    side_by_side: int = 1
    page_size: int = 0
    """Of the manifest's pages: they are asked for as small as may be, so that few records make many. 0: as they are."""
    connector: Connector = field(init=False)
    budget: Lenient = field(init=False)
    source: Source = field(init=False)
    sender: Sender = field(init=False)
    ahead: Ahead = field(init=False)
    carriers: Mapping[str, Carrier] = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Lenient(lambda: self.double.now)
        self.connector = self.makes()
        self.source = self.connector.bind(self.settings)
        self.carriers = self.double.carriers()
        self.sender = Sender(
            self.budget,
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            carriers=self.carriers,
            clock=lambda: self.double.now,
        )
        self.ahead = Ahead(1, side_by_side=self.side_by_side)

    def context(self, stream: str = "") -> CallContext:
        """On whose behalf its requests are sent."""
        return CallContext(
            connection_id=CONNECTION,
            account="check",
            lane=int(Lane.ON_DEMAND),
            source=self.source,
            secrets=self.secrets,
            request_id="check",
            steps=Steps(),
            stream=stream,
            settings=self.settings,
        )

    def shrink(self, stream: str) -> None:
        """Ask for the pages of this stream as small as the connector can."""
        found = self.source.stream(stream)
        divisor = max(1, min(SMALLEST, self.page_size // FEW))
        while divisor > 1 and found.resized(divisor, None) is None:
            divisor //= 2
        if divisor > 1:
            # `needed`: that it never grows again meanwhile.
            self.ahead.sizes.keep(CONNECTION, stream, PageSize(divisor=divisor, needed=10**9))

    def begun_anew(self, **other: Any) -> "Account":
        """The same connection in a new process."""
        given = {
            name: getattr(self, name)
            for name in ("secrets", "settings", "timeout", "max_bytes", "side_by_side", "page_size")
        }
        return Account(self.makes, self.double, **{**given, **other})

    def close(self) -> None:
        """As a process ends that nobody asked to log out."""
        self.ahead.close()
        for carrier in self.carriers.values():
            carrier.close()


@contextmanager
def kept_secrets(values: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """References to these values: files in a folder of this process alone, gone in the end."""
    kept = next(_number)
    paths = {name: _folder() / f"{kept}-{name}" for name in values}
    try:
        for name, path in paths.items():
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(values[name])
        yield {name: f"file://{path}" for name, path in paths.items()}
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


@cache
def _folder() -> Path:
    """One for the process, since to take one away takes longer than many files."""
    folder = mkdtemp(prefix="headrace-check-")
    atexit.register(rmtree, folder, ignore_errors=True)
    return Path(folder)


_number = count()
