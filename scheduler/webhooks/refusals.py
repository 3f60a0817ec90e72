"""What becomes of a webhook that isn't taken? It is counted, and a few are kept for whoever sets it up, without secrets.

Of what came, the names of headers are kept, and values only where they can't prove anything. The body, the query and
what follows the connection in the path are never kept: a secret may stand in each.
Emits: webhook_refused.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb

from scheduler.webhooks.storing import sql
from worker.db.database import Database
from worker.db.words import storable
from worker.errors import HeadraceError
from worker.telemetry.redaction import redactor
from worker.webhooks.delivery import Refusal

log = structlog.get_logger()

KEPT_A_SECOND = 5
"""Of one connection, and of all names together that nobody has: more are counted, and not kept."""
MOST_A_SECOND = 50
SHOWN_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "user-agent"})
MOST_HEADERS = 50
LONGEST = 200


class Sparing:
    """How many of a second are kept. Used on one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._kept: Counter[int] = Counter()

    def may_keep(self, connection_id: int) -> bool:
        """Whether there is room for one more of this connection; 0: of a name that nobody has."""
        if (second := int(self._clock())) != self._second:
            self._second = second
            self._kept.clear()
        if self._kept[connection_id] >= KEPT_A_SECOND or self._kept.total() >= MOST_A_SECOND:
            return False
        self._kept[connection_id] += 1
        return True


@dataclass(frozen=True, slots=True)
class Refused:
    """One that wasn't taken, with what is known of it."""

    refusal: Refusal
    connection_id: int | None
    name: str
    headers: Sequence[tuple[str, str]]
    source: str | None
    request_id: str


def keep(database: Database, refused: Refused) -> None:
    """Write it down. One that can't be is said in the log, and nobody else is told."""
    row = {
        "connection": refused.connection_id,
        "name": _shown(refused.name),
        "reason": refused.refusal.code,
        "words": _shown(refused.refusal.message),
        "headers": Jsonb(shown_headers(refused.headers)),
        "source": refused.source,
        "request": refused.request_id,
    }
    try:
        database.run(sql.keep_refusal, row)
    except HeadraceError as exc:
        log.warning("webhook_refused", reason="not_kept", error=exc.code)


def newest_refusals(database: Database, connection_id: int | None, limit: int) -> list[dict[str, Any]]:
    """The last ones, not narrowed to what somebody may see."""
    rows = database.all(sql.newest_refusals, {"connection": connection_id, "limit": limit})
    return [with_time(row) for row in rows]


def with_time(row: Mapping[str, Any]) -> dict[str, Any]:
    """A refusal with the time at which it came: its id says so."""
    refusal_id: UUID = row["id"]
    return {**row, "at": datetime.fromtimestamp((refusal_id.int >> 80) / 1000, UTC)}


def shown_headers(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Their names, and the values that are no secret. Pure, but for the secrets that are known."""
    return {
        _shown(name): _shown(value[:LONGEST]) if name in SHOWN_HEADERS else "…"
        for name, value in headers[:MOST_HEADERS]
    }


def _shown(text: str) -> str:
    return redactor.redact(storable(text))
