"""A connection to the demo system, whose runs are carried out in the test's own process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.demo import Demo

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services


@dataclass
class Bench:
    """One connection to a demo system, whose runs are carried out here and now."""

    services: Services
    demo: Demo
    connection: int

    def stream(self, name: str, *, history_days: int | None = None) -> int:
        with self.services.database.transaction() as tx:
            row = tx.execute(
                "INSERT INTO streams (connection_id, name, bucket, schedule, history_days, next_run_at)"
                " VALUES (%s, %s, 3, '{\"every\": 60}', %s, now()) RETURNING id",
                (self.connection, name, history_days),
            ).fetchone()
        assert row is not None
        found: int = row["id"]
        return found

    def request(self, stream: int, *, track: str = "live") -> UUID:
        with self.services.database.transaction() as tx:
            return request_run(
                tx,
                stream_id=stream,
                system="demo",
                lane=Lane.ON_DEMAND,
                cause="cli",
                request_id="r",
                track=track,
            ).id

    def sync(self, stream: int) -> dict[str, Any]:
        """One live run, and what hangs on it; how the live run ended."""
        run = self.request(stream)
        carry_out(self.services, run)
        self.carry_out_ready()
        return self.outcome(run)

    def carry_out_ready(self) -> None:
        while rows := self.services.database.all(
            "SELECT id FROM runs WHERE state = 'queued' AND not_before <= now()"
        ):
            for row in rows:
                carry_out(self.services, row["id"])

    def outcome(self, run: UUID) -> dict[str, Any]:
        row = self.services.database.one("SELECT * FROM run_history WHERE id = %(run)s", {"run": run})
        row = row or self.services.database.one("SELECT * FROM runs WHERE id = %(run)s", {"run": run})
        assert row is not None
        return dict(row)

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
