"""A connection to the demo system, whose runs are carried out in the test's own process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.demo import Demo
from servers.systems.inline import InlineRuns

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services


@dataclass
class Bench(InlineRuns):
    """One connection to a demo system, whose runs are carried out here and now."""

    system: ClassVar = "demo"

    services: Services
    demo: Demo
    connection: int

    def sync(self, stream: int) -> dict[str, Any]:
        """One live run, and what hangs on it; how the live run ended."""
        run = self.request(stream)
        carry_out(self.services, run)
        self.carry_out_ready()
        return self.outcome(run)

    def copy(self, stream: int) -> dict[str, Any]:
        rows = self.services.database.all(
            "SELECT key, raw::text AS raw FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL",
            {"s": stream},
        )
        return {row["key"]: json.loads(row["raw"]) for row in rows}

    def cursor(self, stream: int, track: str = "live") -> dict[str, Any]:
        row = self.services.database.one(
            "SELECT * FROM cursors WHERE stream_id = %(s)s AND track = %(t)s", {"s": stream, "t": track}
        )
        assert row is not None
        return dict(row)

    def requests_of(self, work: Any) -> int:
        before = len(self.demo.arrivals())
        work()
        return len(self.demo.arrivals()) - before


@contextmanager
def bench_for(database_url: str, broker_url: str, demo: Demo) -> Iterator[Bench]:
    """A connection to this demo system, without streams."""
    settings = load_settings(
        database_url=SecretStr(database_url), broker_url=SecretStr(broker_url), short_wait=0.5, max_attempts=2
    )
    services = Services.open(settings, name="test")
    with services.database.transaction() as tx:
        row = tx.execute(
            "INSERT INTO connections (name, system, settings, secrets) VALUES ('d', 'demo', %s, %s) RETURNING id",
            (Jsonb({"base_url": demo.base_url}), Jsonb({"token": f"file://{demo.token_file}"})),
        ).fetchone()
    assert row is not None
    yield Bench(services, demo, row["id"])
    services.close()
