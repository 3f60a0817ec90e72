"""Runs of one connection, carried out in the test's own process, here and now."""

from typing import Any, ClassVar
from uuid import UUID

from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services


class InlineRuns:
    """For a dataclass that has the services, and the number of its connection."""

    system: ClassVar[str]
    services: Services
    connection: int

    def stream(self, name: str, *, history_days: int | None = None) -> int:
        """A stream that is due now, its history still to come."""
        with self.services.database.transaction() as tx:
            row = tx.execute(
                "INSERT INTO streams (connection_id, name, bucket, schedule, history_days, next_run_at)"
                " VALUES (%s, %s, 3, '{\"every\": 60}', %s, now()) RETURNING id",
                (self.connection, name, history_days),
            ).fetchone()
        assert row is not None
        found: int = row["id"]
        return found

    def request(
        self,
        stream: int,
        track: str = "live",
        *,
        lane: Lane = Lane.ON_DEMAND,
        cause: str = "cli",
        **scope: Any,
    ) -> UUID:
        with self.services.database.transaction() as tx:
            return request_run(
                tx,
                stream_id=stream,
                system=self.system,
                lane=lane,
                cause=cause,
                request_id="r",
                track=track,
                scope=scope,
            ).id

    def carry_out_ready(self) -> None:
        """All that may begin now, and what that asks for."""
        while rows := self.services.database.all(
            "SELECT id FROM runs WHERE state = 'queued' AND not_before <= now()"
        ):
            for row in rows:
                carry_out(self.services, row["id"])

    def outcome(self, run: UUID) -> dict[str, Any]:
        """How it ended or, as long as it is open, how it stands."""
        database = self.services.database
        row = database.one("SELECT * FROM run_history WHERE id = %(run)s", {"run": run})
        row = row or database.one("SELECT * FROM runs WHERE id = %(run)s", {"run": run})
        assert row is not None
        return dict(row)
