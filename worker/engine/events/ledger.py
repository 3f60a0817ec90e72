"""What of `events` does a run read and write? What waits, what became of each, and whether something is left.

What is done is marked in the transaction that wrote what it told of (a `Note` of the loader), so that no event is done
whose record isn't in the copy, and none is left whose record is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.partitions import in_partition
from worker.db.queries import sql, with_constants
from worker.db.words import storable
from worker.engine.events.coalesce import Event
from worker.errors import LostLease
from worker.runs.claim import Run
from worker.runs.finish import finish_run_in
from worker.runs.states import State
from worker.runs.wakeups.publish import Wakeup
from worker.telemetry.redaction import redactor

MOST = 500
"""Events of one look."""
MOST_BYTES = 8 * 1024 * 1024
"""Whole records of one look, together."""
ERROR_WORDS = 500
_PENDING = with_constants(sql.pending_events, most=MOST, bytes=MOST_BYTES)
LOOK = _PENDING.replace(
    "%(stream)s",
    "(SELECT r.stream_id FROM runs r WHERE r.id = %(run)s AND r.track = 'events' AND r.state = 'running'"
    " AND r.worker = %(worker)s AND NOT r.alone)",
)
"""The first look, which goes along with the claim of what may be a run of events; for nothing where it wasn't claimed."""
_PENDING_ONE = with_constants(sql.pending_events, most=1, bytes=MOST_BYTES)


def pending_at_claim(run: Run) -> list[Event] | None:
    """What there was to do when the run was claimed; None: nobody looked, or more than it may take at once."""
    if run.seen is None or run.alone:
        return None
    events = [Event(**row) for row in run.seen]
    run.seen.clear()  # the run may go on for long, and whole records are among them
    return events


def pending(database: Database, run: Run) -> list[Event]:
    """What there is to do now. A run that ended processes takes one at a time."""
    rows = database.all(_PENDING_ONE if run.alone else _PENDING, {"stream": run.stream_id})
    return [Event(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class Mark:
    """Of one record: which events told of it, and what was loaded."""

    events: Sequence[Event]
    key: str | None = None
    hash: bytes | None = None
    """The digest of its content; None: it is gone, or nothing came."""
    outcome: str | None = None
    """Known already; None: what the copy says after the commit."""


@dataclass(slots=True)
class Marks:
    """What the next commit settles: a `Note` of the loader."""

    todo: Sequence[Mark] = ()
    told: Counter[str] = field(default_factory=Counter)
    """Outcomes so far."""
    _cursor: "psycopg.Cursor[DictRow] | None" = None

    def write(self, connection: "psycopg.Connection[DictRow]", run: Run) -> None:
        """With the records, or with none."""
        if self.todo:
            statement = in_partition(sql.settle_events, run.bucket)
            self._cursor = connection.execute(statement, _settled(run, self.todo))

    def committed(self) -> None:
        """It is in the table now: count it, once."""
        if self._cursor is not None:
            self.told.update(row["outcome"] for row in self._cursor.fetchall())
        self._cursor, self.todo = None, ()


@dataclass(frozen=True, slots=True)
class PutOff:
    """Events that failed alone."""

    events: Sequence[Event]
    words: str
    wait: float = 0.0
    final: bool = False


def put_off(connection: "psycopg.Connection[DictRow]", run: Run, listed: Sequence[PutOff]) -> None:
    """Note it, in the caller's transaction."""
    each = [(event.id, off) for off in listed for event in off.events]
    connection.execute(
        sql.put_events_off,
        {
            "run": run.id,
            "ids": [id_ for id_, _ in each],
            "errors": [storable(redactor.redact(off.words))[:ERROR_WORDS] for _, off in each],
            "waits": [off.wait for _, off in each],
            "finals": [off.final for _, off in each],
        },
    )


def settle(connection: "psycopg.Connection[DictRow]", run: Run, marks: Sequence[Mark]) -> None:
    """Mark what is done without a record, in the caller's transaction."""
    connection.execute(in_partition(sql.settle_events, run.bucket), _settled(run, marks))


CHANGES = ("created", "updated", "deleted")
"""Outcomes that say that a webhook told of something before the poll found it."""


def count_told(connection: "psycopg.Connection[DictRow]", run: Run, marks: Marks) -> None:
    """Add up what was told of, once."""
    told = sum(marks.told[change] for change in CHANGES)
    marks.told.clear()
    if told:
        connection.execute(sql.count_told, {"stream": run.stream_id, "told": told})


def finish_if_none_left(
    database: Database, run: Run, outcome: State, marks: Marks, **more: Any
) -> tuple[DictRow, Wakeup | None] | None:
    """End the run; None: something has come meanwhile, and it goes on."""
    with database.trip() as connection:
        left = connection.execute(
            sql.events_left, {"run": run.id, "claim": run.claim_no, "stream": run.stream_id}
        ).fetchone()
        assert left is not None  # noqa: S101 - it has a row always
        if left["held"] and not left["found"]:
            row, successor = finish_run_in(connection, run.id, run.claim_no, outcome, **more)
            count_told(connection, run, marks)
    if not left["held"]:
        raise LostLease(run.id)
    if left["found"]:
        return None
    if successor is None and (behind := database.one(sql.run_behind, {"stream": run.stream_id})):
        successor = behind["id"], behind["queue"]
    return row, successor


def _settled(run: Run, marks: Sequence[Mark]) -> dict[str, Any]:
    each = [(event.id, mark) for mark in marks for event in mark.events]
    return {
        "run": run.id,
        "bucket": run.bucket,
        "stream": run.stream_id,
        "ids": [id_ for id_, _ in each],
        "keys": [mark.key for _, mark in each],
        "hashes": [None if mark.hash is None else UUID(bytes=mark.hash) for _, mark in each],
        "outcomes": [mark.outcome for _, mark in each],
    }
