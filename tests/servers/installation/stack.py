"""A whole Headrace for a test that breaks things: Postgres, Valkey, workers and beats, each a process that may be killed.

Its servers are its own, so that killing them harms nobody else. Leases are short and pages small; streams are due once
and then not for a week, so what runs is what a test asked for. Every process writes to a log file of its own, and
`tails` hands out their ends for the report of a failure.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.rows import DictRow
from servers.valkey import empty
from servers.waiting import wait_until

from scheduler.embedded.postgres.server import EmbeddedPostgres
from scheduler.embedded.supervisor.parts import headrace_command, part_environment
from scheduler.embedded.supervisor.processes import Child, own_account, run_as, spawn
from scheduler.embedded.valkey import EmbeddedValkey
from worker.app import configure
from worker.config import load_settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.errors import HeadraceError
from worker.parsing.documents import load_document
from worker.services import all_queues

ROOT = Path(__file__).parents[3]
CATALOG = ROOT / "worker" / "connectors" / "catalog"
LEASE = 3
SETTINGS = {
    "HEADRACE_LEASE": str(LEASE),
    "HEADRACE_IDLE_IN_TRANSACTION_TIMEOUT": "2",
    "HEADRACE_SLICE": "2",
    "HEADRACE_CONCURRENCY": "12",
    "HEADRACE_BULK_CONCURRENCY": "4",
    "HEADRACE_REQUEST_TIMEOUT": "10",
    "HEADRACE_MAX_ATTEMPTS": "20",
    "HEADRACE_LOG_LEVEL": "INFO",
    "HEADRACE_LOG_FORMAT": "json",
}
COMMANDS = {
    "main": ("worker", "--one-process", "--lane", "main"),
    "bulk": ("worker", "--one-process", "--lane", "bulk"),
    "fleet": ("worker", "--lane", "main", "--processes", "1"),
    "api": ("serve",),
}
STARTED = {
    "fleet": "worker_started",
    "main": "worker_started",
    "bulk": "worker_started",
    "beat": "beat_started",
    "flower": "flower_listens",
    "api": "api_listens",
}
PARTS = ("main-1", "bulk-1", "beat-1")


@dataclass
class Part:
    """A process of ours. What it was started with is kept, so that it comes back the same."""

    child: Child
    log: Path
    environment: Mapping[str, str]


class Stack:
    """The servers are started by `open`; workers and beats by `start`, under names such as `main-2`."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.settings = SETTINGS | dict(settings or {})
        self.postgres = EmbeddedPostgres(home, fast=True)
        self.valkey = EmbeddedValkey(home)
        self.connectors = home / "connectors"
        self.parts: dict[str, Part] = {}
        self.registry: Registry
        self.database: Database
        add_system(self.connectors, "plant")

    def open(self) -> "Stack":
        """Start the servers and make the schema."""
        self.postgres.start()
        self.valkey.start()
        self.database = Database(self.postgres.url, name="test", pool=4)
        migrate(self.database)
        self.reload()
        return self

    def reload(self) -> None:
        """Look at the manifests again. This process publishes to this stack's Valkey from here on."""
        self.registry = Registry.load([self.connectors])
        assert not self.registry.problems(), self.registry.problems()
        settings = load_settings(broker_url=self.valkey.url, database_url=self.postgres.url, home=self.home)
        configure(settings, all_queues(self.registry.systems()), publisher=True)

    def start(self, *names: str, environment: Mapping[str, str] | None = None) -> None:
        """Start workers (`main-1`, `bulk-1`), beats (`beat-1`) and APIs (`api-1`), and wait until they say so."""
        offsets = {name: self._launch(name, environment or {}) for name in names}
        for name, offset in offsets.items():
            self._wait_for_start(name, offset)

    def _wait_for_start(self, name: str, offset: int) -> None:
        said, part = STARTED[name.partition("-")[0]], self.parts[name]
        wait_until(
            lambda: (
                not part.child.alive or any(line.get("event") == said for line in read_log(part.log, offset))
            ),
            30,
            what=f"the start of {name}",
        )
        assert part.child.alive, f"{name} ended at once:\n{_tail(part.log)}"

    def ensure(self, *names: str) -> None:
        """Start those of these that don't live; by default one worker of each lane and a beat."""
        self.start(*(name for name in names or PARTS if not self.alive(name)))

    def alive(self, name: str) -> bool:
        return name in self.parts and self.parts[name].child.alive

    def _launch(self, name: str, extra: Mapping[str, str]) -> int:
        kind = name.partition("-")[0]
        arguments = COMMANDS.get(kind, (kind,))
        environment = {
            **self.settings,
            "HEADRACE_DATABASE_URL": self.postgres.url,
            "HEADRACE_BROKER_URL": self.valkey.url,
            "HEADRACE_CONNECTORS": str(self.connectors),
            **extra,
        }
        log = self.home / f"{name}.log"
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as file:
            child = spawn(
                headrace_command(*arguments),
                log=file,
                env=part_environment(os.environ, self.home, environment),
                folder=self.home,
            )
        self.parts[name] = Part(child, log, extra)
        return offset

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`headrace` as somebody beside the stack calls it, to its end."""
        environment = {
            **self.settings,
            "HEADRACE_DATABASE_URL": self.postgres.url,
            "HEADRACE_BROKER_URL": self.valkey.url,
            "HEADRACE_CONNECTORS": str(self.connectors),
            "HEADRACE_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
        }
        return run_as(own_account(), [sys.executable, "-P", "-m", "scheduler.cli", *words], env=environment)

    def kill(self, *names: str) -> None:
        """As by `kill -9`: without a word."""
        for name in names:
            self.parts[name].child.kill()

    def again(self, *names: str) -> None:
        """Start these once more, each as it was started before."""
        for name in names:
            self.start(name, environment=self.parts[name].environment)

    def freeze(self, name: str) -> None:
        self.parts[name].child.send(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.parts[name].child.send(signal.SIGCONT)

    def end(self, name: str, timeout: float = 10.0) -> bool:
        """Ask it to stop; whether it did so by itself within the time."""
        return self.parts[name].child.stop(signal.SIGTERM, timeout)

    def kill_postgres(self) -> None:
        assert self.postgres.child is not None
        self.postgres.child.kill()

    def kill_valkey(self) -> None:
        """Kill it, and take away all that it knew."""
        assert self.valkey.child is not None
        self.valkey.child.kill()
        shutil.rmtree(self.valkey.data)

    def restart_postgres(self) -> None:
        self.postgres.start()
        self.database.engine.dispose()  # our own connections are broken, too

    def flush_valkey(self) -> None:
        empty(self.valkey.url)

    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.valkey.url, socket_timeout=5)

    def one(self, statement: str, /, **params: Any) -> DictRow:
        row = self.database.one(statement, params)
        assert row is not None
        return row

    def all(self, statement: str, /, **params: Any) -> list[DictRow]:
        return self.database.all(statement, params)

    def connect(self) -> "psycopg.Connection[Any]":
        """A connection of a test's own, to hold locks with."""
        return psycopg.connect(self.postgres.url, application_name="test")

    def is_idle(self) -> bool:
        """Whether nothing is open and nothing is due."""
        with suppress(HeadraceError):
            return bool(
                self.one(
                    "SELECT NOT EXISTS (SELECT FROM runs)"
                    " AND NOT EXISTS (SELECT FROM streams WHERE next_run_at <= now()) AS idle"
                )["idle"]
            )
        return False

    def wait_until_idle(self, timeout: float = 40.0) -> None:
        wait_until(self.is_idle, timeout, what="the end of all runs")

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        """What a part logged under this name."""
        return [line for line in read_log(self.parts[name].log) if line.get("event") == event]

    def logged(self, event: str) -> int:
        """How often any part said this."""
        return sum(len(self.events(name, event)) for name in self.parts)

    def tails(self) -> Iterator[tuple[str, str]]:
        """The ends of all logs, and what is open: for the report of a failed test."""
        with suppress(HeadraceError):
            open_runs = self.all("SELECT * FROM runs LIMIT 10")
            yield "open runs", "\n".join(map(str, open_runs))
        for name, part in self.parts.items():
            yield f"{name} ({'alive' if part.child.alive else part.child.exit_code})", _tail(part.log)
        for log in (self.postgres.log_file, self.valkey.log_file):
            yield log.name, _tail(log)

    def close(self) -> None:
        for part in self.parts.values():
            part.child.send(signal.SIGCONT)
            part.child.kill()
        if hasattr(self, "database"):
            self.database.close()
        self.valkey.stop()
        self.postgres.delete()


def add_system(folder: Path, system: str, **changes: Any) -> None:
    """A manifest of the demo's kind under another name: pages of twenty, no overlap that would hide a gap, no limit."""
    manifest = load_document(CATALOG / "demo" / "manifest.yaml").data
    manifest |= {"system": system, "title": f"Demo as {system}", "limits": {"concurrency": 16}}
    manifest["defaults"]["paging"]["cursor"]["size"] = 20
    manifest["defaults"]["incremental"]["overlap"] = "0s"
    for path, value in changes.items():
        place = manifest
        *parents, last = path.split("__")
        for parent in parents:
            place = place[parent]
        place[last] = value
    target = folder / system / "manifest.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(manifest))


def read_log(log: Path, offset: int = 0) -> list[dict[str, Any]]:
    """The JSON lines of a log; what isn't one (a traceback of a process that could not start) is left out."""
    with log.open("rb") as file:
        file.seek(offset)
        found = []
        for line in file:
            with suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict):
                    found.append(value)
        return found


def _tail(log: Path, lines: int = 25) -> str:
    if not log.exists():
        return "(no log)"
    return "\n".join(line[:400] for line in log.read_text(errors="replace").splitlines()[-lines:])
