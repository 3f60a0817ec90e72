"""A connection to the scripted tap, whose runs are carried out in the test's own process, or in one that is killed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.inline import InlineRuns
from servers.taps.plant import SCRIPTED

from worker.config import Settings, load_settings
from worker.engine.perform import carry_out
from worker.services import Services

ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("killed_worker.py")
ORDERS = {
    "tap": {"stream": "plant-orders", "replication": "incremental", "replication_key": "changed_at"},
    "key": "id",
    "version": "changed_at",
    "updated_at": "changed_at",
    "columns": {"price": "number", "changed_at": "time"},
}
SITES = {"tap": {"stream": "sites"}, "key": "id"}


@dataclass
class TapBench(InlineRuns):
    """One connection to a tap."""

    system: ClassVar = "singer"

    services: Services
    connection: int
    folder: Path
    database_url: str
    broker_url: str

    @property
    def file(self) -> Path:
        return self.folder / "rows.json"

    @property
    def pids(self) -> Path:
        return self.folder / "pids"

    def has(self, *numbers: int, minute: int = 0) -> None:
        rows = [
            {
                "id": n,
                "name": f"row {n}",
                "price": f"{n}.50",
                "changed_at": f"2026-01-01T0{minute}:00:{n % 60:02}Z",
            }
            for n in numbers
        ]
        self.file.write_text(json.dumps(rows))

    def describe(
        self, *, tap: str = str(SCRIPTED), streams: Mapping[str, Any] | None = None, **config: Any
    ) -> None:
        """What the connection says from now on."""
        about = {"file": str(self.file), "pid_file": str(self.pids), "token": "{secret:token}", **config}
        describe = {
            "singer": {"config": about},
            "secrets": {"token": {}},
            "streams": streams or {"orders": ORDERS, "sites": SITES},
        }
        self.services.database.run(
            "UPDATE connections SET settings = %(settings)s WHERE id = %(id)s",
            {"settings": Jsonb({"tap": tap, "describe": describe}), "id": self.connection},
        )

    def sync(self, stream: int, track: str = "live") -> dict[str, Any]:
        run = self.request(stream, track)
        carry_out(self.services, run)
        return self.outcome(run)

    def copy(self, stream: int) -> dict[str, Any]:
        rows = self.services.database.all(
            "SELECT key, raw::text AS raw FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL",
            {"s": stream},
        )
        return {row["key"]: json.loads(row["raw"]) for row in rows}

    def cursor(self, stream: int) -> dict[str, Any]:
        row = self.services.database.one(
            "SELECT * FROM cursors WHERE stream_id = %(s)s AND track = 'live'", {"s": stream}
        )
        return dict(row or {})

    def another_worker(self, run: UUID, *, allowed: str = str(SCRIPTED)) -> "subprocess.Popen[bytes]":
        """A process of its own that carries this run out, for as long as it lives."""
        said = [
            sys.executable,
            str(WORKER),
            self.database_url,
            self.broker_url,
            str(self.folder / "home"),
            str(run),
        ]
        with (self.folder / "worker.log").open("wb") as log:
            return subprocess.Popen(
                said,
                stdout=log,
                stderr=log,
                env={**os.environ, "HEADRACE_TAPS": allowed, "PYTHONPATH": str(ROOT)},
            )


def settings_of(database_url: str, broker_url: str, home: Path, **more: Any) -> Settings:
    return load_settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(broker_url),
        home=home,
        short_wait=0.5,
        max_attempts=5,
        **{"taps": (str(SCRIPTED),), **more},
    )


@contextmanager
def tap_bench(database_url: str, broker_url: str, folder: Path, **more: Any) -> Iterator[TapBench]:
    settings = settings_of(database_url, broker_url, folder / "home", **more)
    services = Services.open(settings, name="test")
    (folder / "token").write_text("h0pper-in-the-hall")
    with services.database.transaction() as tx:
        row = tx.execute(
            "INSERT INTO connections (name, system, settings, secrets) VALUES ('t', 'singer', '{}', %s) RETURNING id",
            (Jsonb({"token": f"file://{folder / 'token'}"}),),
        ).fetchone()
    assert row is not None
    bench = TapBench(services, row["id"], folder, database_url, broker_url)
    bench.pids.touch()
    bench.describe()
    yield bench
    services.close()
