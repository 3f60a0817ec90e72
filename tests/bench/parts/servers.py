"""Which servers does a measurement run on? The embedded Postgres and Valkey, with the settings that users get, and the
source in a process of its own. What is compared shares one server, so its settings are the same for all.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from scheduler.embedded.postgres.server import EmbeddedPostgres
from scheduler.embedded.valkey import EmbeddedValkey

ROOT = Path(__file__).resolve().parents[3]
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as the source saw it."""

    at: float
    """Seconds since 1970, by the clock of this machine."""
    label: str
    path: str
    status: int


class Source:
    """The source, and its levers."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self._client = httpx.Client(base_url=f"{url}/control", timeout=60)

    def at(self, label: str) -> str:
        """The base URL under which requests arrive with this label."""
        return f"{self.url}/at/{label}"

    def latency(self, ms: float) -> None:
        """Every answer from now on waits so long."""
        self._control("latency", ms=ms)

    def limit(self, requests: int, per: float = 1.0, *, headers: bool = False) -> None:
        """429 beyond so many in any window of `per` seconds, each label for itself; 0 ends it."""
        self._control("limit", requests=requests, per=per, headers=int(headers))

    def mutate(self, count: int) -> int:
        """Change so many records; how many differ from the start by now."""
        changed: int = self._control("mutate", count=count)["changed"]
        return changed

    def reset(self) -> None:
        """As at the start; the log of arrivals is empty."""
        self._control("reset")

    def stats(self) -> dict[str, int]:
        """rows, changed, requests, bytes, records."""
        found: dict[str, int] = self._control("stats")
        return found

    def arrivals(self, *, clear: bool = False) -> list[Arrival]:
        """What was asked since the start, or since it was last cleared."""
        return [Arrival(*row) for row in self._control("arrivals", clear=int(clear))]

    def content(self) -> dict[str, tuple[str, str]]:
        """Every record's time of change and its bytes as text, by its id as text."""
        return {str(number): (when, raw) for number, when, raw in self._control("content")}

    def close(self) -> None:
        self._client.close()

    def _control(self, verb: str, **asked: float) -> Any:
        return self._client.get(f"/{verb}", params=asked).raise_for_status().json()


@contextmanager
def source(records: int = 200_000, latency_ms: float = 0.0, *, seed: int = 7) -> Iterator[Source]:
    """A source in a process of its own, killed in the end."""
    program = [sys.executable, "-m", "tests.bench.parts.source", f"--records={records}", f"--seed={seed}"]
    process = subprocess.Popen(
        [*program, "--while-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdin is not None
    found: Source | None = None
    try:
        port = int(process.stdout.readline())
        found = Source(f"http://127.0.0.1:{port}", process.pid)
        if latency_ms:
            found.latency(latency_ms)
        yield found
    finally:
        if found is not None:
            found.close()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@contextmanager
def own_postgres(*, version: int = 18) -> Iterator[str]:
    """The URL of an embedded Postgres that keeps what it is told (fsync on); nothing of it stays behind."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as home:
        server = EmbeddedPostgres(Path(home), version=version)
        try:
            yield server.start()
        finally:
            server.delete()


@contextmanager
def own_valkey() -> Iterator[str]:
    """The URL of an embedded Valkey, as users get it."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as home:
        server = EmbeddedValkey(Path(home))
        try:
            yield server.start()
        finally:
            server.stop()


@contextmanager
def fresh_database(url: str, name: str = "bench") -> Iterator[str]:
    """The URL of an empty database on the same server, dropped in the end."""
    own = f"{name}_{os.getpid()}_{next(_numbers)}"
    _execute(url, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(own)))
    before, _, after = url.rpartition(f"/{conninfo_to_dict(url)['dbname']}")
    try:
        yield f"{before}/{own}{after}"
    finally:
        _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(own)))


def checkpoint(url: str) -> None:
    """Write out what earlier measurements left in memory, so that the next doesn't pay for it."""
    _execute(url, sql.SQL("CHECKPOINT"))


def _execute(url: str, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
