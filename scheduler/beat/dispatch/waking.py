"""Which of the runs that wait get a message, and which messages were lost?

What was just dispatched has its message already. Here is the rest: runs whose wait is over, what found no room, and what
somebody asked for whose message never arrived. Several beats may do this at once. Emits: valkey_forgot.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog

from scheduler.beat.dispatch.pacing import Pacing
from worker.db.database import Database
from worker.db.queries import sql, with_constants
from worker.runs.claim import LINE
from worker.runs.wakeups.lying import Lying
from worker.runs.wakeups.publish import lying, publish

log = structlog.get_logger()

LEAST_OUTSTANDING = 64
SLOTS_MULTIPLE = 8
"""A queue holds messages for so many times the slots that serve it: no worker is ever idle for want of one."""
VISITS = 500
"""Connections that one look goes by at most, however few of them have a run that can be woken."""
ROUNDS = 8
"""Looks in a row while each finds something, or sees only a part; then other things have their turn."""
WAKEABLE = with_constants(
    sql.wakeable, visits=VISITS, least=LEAST_OUTSTANDING, multiple=SLOTS_MULTIPLE, line=LINE
)
SETTLED = 2.0
"""Seconds after which a message must have arrived in its queue."""
PATIENCE = 30.0
"""Seconds after which a run is sent for again at the latest, when its message was taken and nobody claimed it."""


class Waking:
    """What a beat remembers from look to look. Losing it costs nothing: it begins with the first connection again."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._places: dict[str, int] = {}
        """The connection after which a queue's next look begins, where the last one couldn't see all."""
        self._memory: str | None = None

    def wake(self, database: Database) -> int:
        """Send messages for the runs whose turn it is; how many. The commit comes first: lost messages are sent again."""
        total = 0
        for _ in range(ROUNDS):
            woken = self._look(database)
            total += woken
            if not woken and not self._places:
                break  # all were seen; else those who may not go now stood before others who may
        return total

    def _look(self, database: Database) -> int:
        rows = database.all(
            WAKEABLE,
            {
                "queues": list(self._places),
                "afters": list(self._places.values()),
                "paced": self._pacing.queues,
                "most": self._pacing.most,
            },
        )
        self._places = {row["queue"]: row["stopped_at"] for row in rows if row["id"] is None}
        wakeups: list[tuple[UUID, str]] = [(row["id"], row["queue"]) for row in rows if row["id"] is not None]
        publish(wakeups)
        return len(wakeups)

    def notice_lost(self, database: Database) -> int:
        """Free those runs for a new message whose message can't be there any more; how many."""
        rows = database.all(sql.published_queues, {"settled": SETTLED})
        found = lying([row["queue"] for row in rows])
        if found is None:
            return 0
        forgotten = self._forgotten(found)
        return _forget(database, found, forgotten=forgotten) if rows else 0

    def _forgotten(self, found: Lying) -> bool:
        """Whether Valkey has lost its memory since we last looked, and every message with it."""
        before, self._memory = self._memory, found.memory
        if before is None or before == found.memory:
            return False
        log.warning("valkey_forgot")
        return True


def _forget(database: Database, found: Lying, *, forgotten: bool) -> int:
    queues: Sequence[str] = list(found.heads)
    return database.run(
        sql.forget_lost_wakeups,
        {
            "queues": queues,
            "heads": [found.heads[queue] for queue in queues],
            "settled": SETTLED,
            "patience": PATIENCE,
            "forgotten": forgotten,
        },
    )
