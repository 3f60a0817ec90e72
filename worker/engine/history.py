"""How does a stream's history come in beside its live cursor?

The live run, before it reads anything, sees to it that the live cursor stands and that the history is on its way: as a
run of its own in the bulk lane, with a cursor of its own. Both are committed together, and once: whichever run comes
first, and however often one dies here.
"""

import structlog
from psycopg.types.json import Jsonb

from worker.connectors.contract import CursorValue, StreamTraits
from worker.connectors.cursors import dump_cursor
from worker.db.database import Database
from worker.db.queries import sql
from worker.engine.plan import Plan, plan_history
from worker.runs.claim import Run
from worker.runs.publish import publish
from worker.runs.request import request_run
from worker.runs.states import Lane

log = structlog.get_logger()


def begin(database: Database, run: Run, traits: StreamTraits, plan: Plan) -> None:
    """Keep what must stand before the first request of `plan`. Emits: history_requested."""
    history = plan_history(run, traits, run.now())
    if not plan.starts_cursor and history is None:
        return
    with database.transaction() as connection:
        if plan.starts_cursor:
            connection.execute(
                sql.start_cursor, {"stream": run.stream_id, "watermark": _stored(plan.watermark)}
            )
        if history is None:
            return
        row = connection.execute(sql.history_is_open, {"stream": run.stream_id}).fetchone()
        if row and row["open"]:
            return
        connection.execute(
            sql.start_history,
            {
                "stream": run.stream_id,
                "window_since": _stored(history.since),
                "window_until": _stored(history.until),
            },
        )
        requested = request_run(
            connection,
            stream_id=run.stream_id,
            system=run.system,
            lane=Lane.BACKFILL,
            cause="first_sync",
            request_id=run.request_id,
            track="history",
        )
    publish([(requested.id, requested.queue)])
    log.info("history_requested", days=run.history_days, run=str(requested.id))


def _stored(value: CursorValue | None) -> Jsonb | None:
    return None if value is None else Jsonb(dump_cursor(value))
