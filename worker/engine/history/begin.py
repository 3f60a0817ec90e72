"""What must stand before a live run's first request: its cursor, and the history that it leaves to others."""

import structlog
from psycopg.types.json import Jsonb

from worker.connectors.contract import CursorValue, StreamTraits, Window
from worker.connectors.cursors import dump_cursor
from worker.db.database import Database
from worker.db.queries import sql
from worker.engine.history.slices import Slice, name_of
from worker.engine.planning.plan import Plan, plan_history
from worker.runs.claim import Run
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.runs.wakeups.publish import publish

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
        row = connection.execute(sql.history_wanted, {"stream": run.stream_id}).fetchone()
        if row is None or not row["wanted"]:
            return
        connection.execute(sql.start_history, start_of(run.stream_id, whole(history)))
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


def whole(window: Window) -> Slice:
    """A history that isn't cut yet."""
    since, until = window.since, window.until
    assert not isinstance(since, int)  # noqa: S101 - only what is ordered by time has one
    assert until is not None and not isinstance(until, int)  # noqa: S101, PT018
    return Slice(since, until, name_of(until))


def start_of(stream: int, each: Slice) -> dict[str, object]:
    """The parameters of `start_history` and `add_slice`."""
    return {
        "stream": stream,
        "slice": each.name,
        "window_since": _stored(each.since),
        "window_until": _stored(each.until),
    }


def _stored(value: CursorValue | None) -> Jsonb | None:
    return None if value is None else Jsonb(dump_cursor(value))
