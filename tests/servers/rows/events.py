"""Events of webhooks, as the receiving side stores them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from worker.db.database import Database

_INSERT = """
INSERT INTO events (connection_id, stream_id, kind, key, type, event_key, record, said_at, received_at, request_id)
SELECT connection_id, id, %(kind)s, %(key)s, 'thing.changed', %(event_key)s, %(record)s, %(said_at)s,
       coalesce(%(received_at)s, now()), 'r-hook'
  FROM streams WHERE id = %(stream)s
RETURNING id
"""


@dataclass
class Events:
    """Those of one stream."""

    database: Database
    stream: int

    def tell(
        self,
        key: str | None,
        kind: str = "record",
        *,
        record: bytes | None = None,
        said_at: datetime | None = None,
        received_at: datetime | None = None,
    ) -> UUID:
        row = self.database.one(
            _INSERT,
            {
                "stream": self.stream, "kind": kind, "key": key, "event_key": uuid4().hex, "record": record,
                "said_at": said_at, "received_at": received_at,
            },
        )  # fmt: skip
        assert row is not None
        found: UUID = row["id"]
        return found

    def row(self, event: UUID) -> dict[str, Any]:
        row = self.database.one("SELECT * FROM events WHERE id = %(id)s", {"id": event})
        assert row is not None
        return dict(row)

    def states(self) -> list[tuple[str | None, str, str | None]]:
        """Key, state and outcome of each, in the order in which they came."""
        rows = self.database.all(
            "SELECT key, state, outcome FROM events WHERE stream_id = %(s)s ORDER BY id", {"s": self.stream}
        )
        return [(row["key"], row["state"], row["outcome"]) for row in rows]

    def due_again(self) -> None:
        """As if those that wait alone had waited long enough."""
        self.database.run("UPDATE events SET not_before = now() WHERE not_before IS NOT NULL")
