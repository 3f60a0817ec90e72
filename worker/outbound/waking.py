"""Which subscriptions have something to be delivered, and how does a worker hear of it?

By a message that holds the subscription's number and nothing else. Losing it costs half a minute.
"""

import structlog

from worker.app import CONTROL_QUEUE, DELIVER_TASK, celery_app
from worker.db.database import Database
from worker.db.queries import sql
from worker.feed.position import parse_position
from worker.feed.reading import look

log = structlog.get_logger()


def wake_deliveries(database: Database) -> int:
    """Send for those that lag behind, or of whose records one is due; how many. Emits: wakeup_failed."""
    ready = database.all(sql.ready_subscriptions)
    if not ready:
        return 0
    end = look(database).end
    ids = [row["id"] for row in ready if row["due"] or parse_position(row["position"]).place < end]
    woken = [row["id"] for row in database.all(sql.note_woken, {"ids": ids})] if ids else []
    for found in woken:
        try:
            celery_app.send_task(DELIVER_TASK, [found], queue=CONTROL_QUEUE, retry=False)
        except Exception as exc:  # noqa: BLE001 - whatever it is, all are sent for again in half a minute
            log.warning("wakeup_failed", subscription=found, error=type(exc).__name__)
            break  # beat has more to do than to wait for each
    return len(woken)
