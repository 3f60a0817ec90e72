"""How does a worker let go of a run: for good, or for a while?

Each is one transaction under the fence: a worker whose claim is not the latest changes nothing and gets `LostLease`.
"""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.db.database import Database
from worker.db.queries import sql
from worker.db.words import storable
from worker.errors import LostLease
from worker.runs.cancel import cancel_in
from worker.runs.states import State
from worker.runs.wakeups.publish import Wakeup
from worker.telemetry.redaction import redactor

_dumps = msgspec.json.encode

WaitReason = Literal["retry", "limit", "slice", "drain", "rescue", "window", "parent"]
ERROR_WORDS = 2000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run ended or waits: our code and words that hold no secret."""

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class LastPage:
    """A page without records that ends the window: the cursor that follows from it, as JSON."""

    since: Any
    until: Any
    watermark: Any
    slice: str = ""


def finish_run(
    database: Database,
    run_id: UUID,
    claim_no: int,
    outcome: State,
    *,
    failure: Failure | None = None,
    fresh_at: Any = None,
    history_done: bool = False,
    steps: Any = None,
    last: LastPage | None = None,
) -> tuple[DictRow, Wakeup | None]:
    """End the run; its counts, and the run that waited behind it. `fresh_at`: the copy holds what was before this.

    `history_done`: all of the history that was asked for is in the copy. `last`: a page that is committed with the
    end; then a run that somebody wants cancelled raises `LostLease` too, and nothing has changed.
    """
    with database.connection() as connection:
        return finish_run_in(
            connection,
            run_id,
            claim_no,
            outcome,
            failure=failure,
            fresh_at=fresh_at,
            history_done=history_done,
            steps=steps,
            last=last,
        )


def finish_run_in(
    connection: psycopg.Connection[DictRow],
    run_id: UUID,
    claim_no: int,
    outcome: State,
    *,
    failure: Failure | None = None,
    fresh_at: Any = None,
    history_done: bool = False,
    steps: Any = None,
    last: LastPage | None = None,
) -> tuple[DictRow, Wakeup | None]:
    """The same inside the caller's transaction."""
    row = connection.execute(
        sql.finish_run,
        {
            "run": run_id,
            "claim": claim_no,
            "outcome": str(outcome),
            "fresh_at": fresh_at,
            "history_done": history_done,
            "steps": _json(steps),
            "pages": 0 if last is None else 1,
            "slice": "" if last is None else last.slice,
            "window_since": last and _json(last.since),
            "window_until": last and _json(last.until),
            "watermark": last and _json(last.watermark),
            **_failure(failure),
        },
    ).fetchone()
    if row is None:
        raise LostLease(run_id)
    successor = (row["successor"], row["successor_queue"]) if row["successor"] else None
    return row, successor


def give_back(
    database: Database,
    run_id: UUID,
    claim_no: int,
    *,
    wait: float,
    reason: WaitReason,
    spent: bool,
    failure: Failure | None = None,
    steps: Any = None,
) -> Wakeup:
    """Return the run to the queue for `wait` seconds; the run that goes on, which may be a successor it merged into."""
    with database.transaction() as connection:
        return give_back_in(
            connection,
            run_id,
            claim_no,
            wait=wait,
            reason=reason,
            spent=spent,
            failure=failure,
            steps=steps,
        )


def give_back_in(
    connection: psycopg.Connection[DictRow],
    run_id: UUID,
    claim_no: int,
    *,
    wait: float,
    reason: WaitReason,
    spent: bool,
    failure: Failure | None = None,
    steps: Any = None,
) -> Wakeup:
    """The same inside the caller's transaction."""
    params = {
        "run": run_id,
        "claim": claim_no,
        "wait": wait,
        "reason": reason,
        "spent": int(spent),
        "steps": _json(steps),
        **_failure(failure),
    }
    try:
        with connection.transaction():  # a savepoint: the unique index may say that a successor waits already
            row = connection.execute(sql.give_back_run, params).fetchone()
    except psycopg.errors.UniqueViolation:
        row = connection.execute(sql.merge_run, params).fetchone()
    if row is None:
        raise LostLease(run_id)
    if row["cancelled"]:  # somebody asked while it was worked on: it ends here, and not after its wait
        cancel_in(connection, run_id)
    return row["id"], row["queue"]


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value, _dumps)


def _failure(failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return {"error_code": None, "error": None}
    # A system's words can be anything, a secret of ours among it.
    words = storable(redactor.redact(failure.words))
    return {"error_code": failure.code, "error": words[:ERROR_WORDS]}
