"""What may be done with one run: stop it, or have what it didn't do done once more. Each is noted with who did it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import DictRow

from scheduler.access.audit import Actor, note_act
from scheduler.access.principal import EVERYTHING
from scheduler.connections.view import View
from scheduler.runs.syncs import Refused, Wanted, refuse_paused
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.db.queries import sql as shared
from worker.errors import NotFound
from worker.runs.cancel import cancel_in
from worker.runs.request import request_run
from worker.runs.states import OPEN, Lane, State
from worker.runs.wakeups.publish import publish

sql = load_queries("scheduler.runs", "acts.sql")


def cancel(
    database: Database, run_id: UUID, actor: Actor, view: View = EVERYTHING
) -> Literal["cancelled", "cancelling"]:
    """Stop an open run: a queued one at once, a running one at its next page. `Refused` for one that has ended.

    What a run of events had still to look at is set aside with it: a retry, or a replay of the events, takes it up.
    """
    row = _find(database, run_id, view)
    for _ in range(2):  # it may be claimed between the two statements, or given back
        with database.transaction() as transaction:
            if cancel_in(transaction, run_id):
                outcome: Literal["cancelled", "cancelling"] = "cancelled"
            elif transaction.execute(shared.cancel_running, {"run": run_id}).fetchone() is not None:
                outcome = "cancelling"
            else:
                continue
            detail = _detail(row)
            if row["track"] == "events":  # else the next run would do what this one was kept from
                params = {"run": run_id, "stream": row["stream_id"]}
                detail["events"] = transaction.execute(sql.set_events_aside, params).rowcount
            note_act(transaction, actor, "run.cancel", f"run {run_id}", about=_about(row), detail=detail)
            return outcome
    raise Refused("run_ended", "This run has ended: there is nothing to cancel.")


def retry(
    database: Database, run_id: UUID, actor: Actor, view: View = EVERYTHING, *, request_id: str
) -> Wanted:
    """Ask once more for what a run was for. One that waits to be tried again is tried now."""
    row = _find(database, run_id, view)
    _refuse_retry(row)
    with database.transaction() as transaction:
        if row["track"] == "history":
            _resume(transaction.execute(shared.resume_history, {"stream": row["stream_id"]}).fetchone())
            transaction.execute(shared.keep_going, {"stream": row["stream_id"]})
        if row["track"] == "events":
            transaction.execute(sql.take_events_up, {"run": run_id, "stream": row["stream_id"]})
        run = request_run(
            transaction,
            stream_id=row["stream_id"],
            system=row["system"],
            lane=Lane.ON_DEMAND if row["lane"] == Lane.SCHEDULED else Lane(row["lane"]),
            cause="api" if actor.token_id else "cli",
            request_id=request_id,
            track=row["track"],
            scope=row["scope"],
        )
        note_act(
            transaction,
            actor,
            "run.retry",
            f"run {run_id}",
            about=_about(row),
            detail={**_detail(row), "run": str(run.id)},
        )
    if run.ready:
        publish([(run.id, run.queue)])
    return Wanted(run.id, row["stream_id"], row["stream"], run.created)


def ended(database: Database, runs: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Those that are open no more, each with the run that it was merged into."""
    return {row["id"]: row["merged_into"] for row in database.all(sql.ended, {"runs": list(runs)})}


def _find(database: Database, run_id: UUID, view: View) -> DictRow:
    row = database.one(sql.run_to_act_on, {"run": run_id, **view})
    if row is None:
        raise NotFound("unknown_run", "There is no run with this id.")
    return row


def _refuse_retry(row: Mapping[str, Any]) -> None:
    if row["state"] == State.RUNNING:
        raise Refused("run_open", "This run is at work.", hint="Cancel it, or wait until it has ended.")
    if row["state"] in {State.SUCCEEDED, State.MERGED}:
        raise Refused(
            "run_ended_well",
            "This run has done what it was for."
            if row["state"] == State.SUCCEEDED
            else "Another run does its work.",
            hint=f"To read again, ask for a sync of {row['stream']}.",
        )
    refuse_paused({"name": row["connection"], "paused_at": row["paused_at"]})
    if not row["enabled"] and row["state"] not in OPEN:
        raise Refused("stream_off", f"The stream {row['stream']} of {row['connection']} is switched off.")


def _resume(found: Mapping[str, Any] | None) -> None:
    if found is None or not found["owed"]:
        raise Refused("history_done", "Nothing of this history is owed any more.")


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["connection_id"], "environment": row["environment"], "tenant": row["tenant"]}


def _detail(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"connection": row["connection"], "stream": row["stream"], "track": row["track"]}
