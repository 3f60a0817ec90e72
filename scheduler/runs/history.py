"""How far are the histories of a connection, what are they waiting for, and how are they stopped and let go on?

A pause ends the history's run at its next page and keeps its place; no live run asks for it again until it is resumed.
Emits: history_paused, history_resumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import structlog

from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.connections.resolve import find_stream
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.db.queries import sql as shared
from worker.engine.history.forecast import Progress, Wait, progress
from worker.engine.history.slices import Slice, Tally, missing, slice_of
from worker.engine.planning.plan import FIRST_LOOK_BACK
from worker.runs.cancel import cancel_run
from worker.runs.request import request_run
from worker.runs.states import Lane, State
from worker.runs.wakeups.publish import publish

log = structlog.get_logger()
sql = load_queries("scheduler.runs", "history.sql")


@dataclass(frozen=True, slots=True)
class History:
    """The history of one stream."""

    stream: str
    days: int | None
    """How far back was asked for; None: everything."""
    state: str
    """done, off, running, paused, waiting, queued, failed, owed (the next live run asks for it), or not begun."""
    progress: Progress
    run: UUID | None
    error_code: str | None
    error: str | None
    failures: int
    next_at: datetime | None
    """Not asked for again before; of one that waits: when it goes on."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        found, left = self.progress, self.progress.left
        return {
            "stream": self.stream,
            "days": self.days,
            "state": self.state,
            "slices": {"done": found.slices_done, "total": found.slices},
            "records": found.records,
            "requests": found.requests,
            "seconds": round(found.seconds, 1),
            "share": None if found.share is None else round(found.share, 4),
            "since": found.since,
            "read_back_to": found.read_back_to,
            "left": {
                "records": left.records,
                "requests": left.requests,
                "seconds": None if left.seconds is None else round(left.seconds, 1),
            },
            "run": self.run,
            "next_at": self.next_at,
            "failures": self.failures,
            "error": None if self.error_code is None else {"code": self.error_code, "words": self.error},
        }


def histories(
    database: Database, connection: Mapping[str, Any], wait: Wait, stream: str | None = None
) -> list[History]:
    """Of all streams of a connection, or of one. `wait` says what its account may send."""
    if stream is not None:
        find_stream(database, connection, stream)
    rows, slices, now = _read(database, connection, stream)
    return [_history(row, slices[row["id"]], wait, now) for row in rows]


def lengthened(
    database: Database, connection: Mapping[str, Any], stream: str, days: int | None, wait: Wait
) -> Progress:
    """Where the history of a stream would stand if it went back so many days, None for ever."""
    (row,), slices, now = _read(database, connection, stream)
    known = slices[row["id"]]
    since = None if days is None else now - timedelta(days=days)
    lacking = missing(known, since)
    wanted = known if lacking is None else [*known, lacking]
    return progress(wanted, wait, _sample(row, known))


def _read(
    database: Database, connection: Mapping[str, Any], stream: str | None
) -> tuple[Sequence[Mapping[str, Any]], Mapping[int, list[Slice]], datetime]:
    rows = database.all(sql.histories_of, {"connection": connection["id"], "stream": stream})
    slices: dict[int, list[Slice]] = {row["id"]: [] for row in rows}
    for row in database.all(sql.slices_of, {"streams": list(slices)}):
        slices[row["stream_id"]].append(slice_of(row))
    now = database.one("SELECT now() AS now")
    assert now is not None  # noqa: S101 - it always answers
    return rows, slices, now["now"]


def _history(row: Mapping[str, Any], slices: Sequence[Slice], wait: Wait, now: datetime) -> History:
    state = state_of(row, now, begun=bool(slices))
    waits = row["not_before"] if state == "waiting" else row["history_next_at"]
    return History(
        stream=row["name"],
        days=row["history_days"],
        state=state,
        progress=progress(slices, wait, _sample(row, slices)),
        run=row["run"],
        error_code=row["history_error_code"],
        error=row["history_error"],
        failures=row["history_failures"],
        next_at=waits if waits is not None and waits > now else None,
    )


def _sample(row: Mapping[str, Any], slices: Sequence[Slice]) -> Slice | None:
    """What the first live run read, as if it were a slice; None: it read nothing, or there was none."""
    if not row["records"] or not row["requests"] or not slices:
        return None
    until = max(each.until for each in slices)
    tally = Tally(row["records"], row["requests"], row["seconds"] or 0.0)
    return Slice(until - FIRST_LOOK_BACK, until, tally=tally, finished=True)


def state_of(row: Mapping[str, Any], now: datetime, *, begun: bool) -> str:
    """In one word: the first that is so."""
    queued = row["state"] == State.QUEUED
    states = {
        "done": row["history_done_at"] is not None,
        "off": not row["enabled"],
        "running": row["state"] == State.RUNNING,
        "paused": row["history_paused_at"] is not None,
        "waiting": queued and row["not_before"] > now,
        "queued": queued,
        "failed": row["history_error_code"] is not None,
        "owed": begun,
    }
    return next((word for word, holds in states.items() if holds), "not begun")


def pause_histories(
    database: Database,
    connection: Mapping[str, Any],
    stream: str | None = None,
    *,
    actor: Actor = COMMAND_LINE,
) -> list[str]:
    """Stop what isn't done, of all streams or of one; the names of those that are paused now."""
    paused = []
    for row in database.all(sql.histories_of, _wanted(database, connection, stream)):
        with database.transaction() as transaction:
            if transaction.execute(shared.pause_history, {"stream": row["id"]}).fetchone() is None:
                continue
            detail = {"stream": row["name"]}
            note_act(transaction, actor, "history.pause", connection["name"], about=connection, detail=detail)
        for run in database.all(shared.history_runs, {"stream": row["id"]}):
            cancel_run(database, run["id"])
        paused.append(row["name"])
    log.info("history_paused", connection=connection["name"], streams=paused)
    return paused


def resume_histories(
    database: Database,
    connection: Mapping[str, Any],
    stream: str | None = None,
    *,
    cause: Literal["api", "cli"],
    request_id: str,
    actor: Actor = COMMAND_LINE,
) -> list[str]:
    """Let go on what isn't done, at once and whatever stopped it; the names of those that do."""
    resumed, wakeups = [], []
    for row in database.all(sql.histories_of, _wanted(database, connection, stream)):
        with database.transaction() as transaction:
            found = transaction.execute(shared.resume_history, {"stream": row["id"]}).fetchone()
            if found is None or not found["owed"] or not row["enabled"]:
                continue
            transaction.execute(shared.keep_going, {"stream": row["id"]})
            run = request_run(
                transaction,
                stream_id=row["id"],
                system=connection["system"],
                lane=Lane.BACKFILL,
                cause=cause,
                request_id=request_id,
                track="history",
            )
            detail = {"stream": row["name"]}
            note_act(
                transaction, actor, "history.resume", connection["name"], about=connection, detail=detail
            )
        resumed.append(row["name"])
        if run.ready:
            wakeups.append((run.id, run.queue))
    publish(wakeups)
    log.info("history_resumed", connection=connection["name"], streams=resumed)
    return resumed


def _wanted(database: Database, connection: Mapping[str, Any], stream: str | None) -> dict[str, Any]:
    if stream is not None:
        find_stream(database, connection, stream)
    return {"connection": connection["id"], "stream": stream}
