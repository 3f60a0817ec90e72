"""Who carries out a run? The one whose claim was first; everybody else sees that there is nothing to do."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.parsing.given import Rows

_SETTINGS = Rows()
"""Those of connections, as they were claimed last."""
LINE = 16
"""Runs of an account that stand in its limit's line, before more of them are sent or let there."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the cursor of a run's track and slice holds, as JSON; all None before the first page was committed."""

    watermark: Any = None
    position: Mapping[str, Any] | None = None
    since: Any = None
    until: Any = None
    slice: str = ""
    moved_at: datetime | None = None
    """When it was last written; None: there is no such cursor yet."""


@dataclass(frozen=True, slots=True)
class Run:
    """A claimed run with all that is needed to plan it."""

    id: UUID
    claim_no: int
    stream_id: int
    connection_id: int
    account: str
    track: str
    scope: Mapping[str, Any]
    lane: int
    cause: str
    attempt: int
    request_id: str
    steps: Any
    pages: int
    records_rejected: int
    alone: bool
    """It was rescued twice: it must not share a process with others any more."""
    waited: float
    """Seconds between the time at which it might have begun and the claim."""
    stream: str
    bucket: int
    history_days: int | None
    history_done_at: datetime | None
    connection: str
    system: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    cursor: Stored
    claimed_at: datetime
    """The database's time at the claim."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the connections file says of the stream beyond schedule and history."""
    look_back: float | None = None
    """How far behind the cursor changes came in so far, in seconds; None: not known, the manifest's overlap holds."""
    erased: bool = False
    """Some of its records were erased: what comes in is screened for them."""
    runs_with_records: int = 0
    """Live runs before this one that read something, in a row."""
    manifest_version: str | None = None
    """By which version of its system's manifest it reads; None: by whichever is current."""
    refit: Mapping[str, Any] | None = None
    """What is to be done to the stream's records before anything is read; see `engine.deletes.refit`."""
    environment: str = "live"
    network: Mapping[str, str] = field(default_factory=dict)
    """How its requests leave, where that is not as everybody's do."""
    clock_skew: float = 0.0
    """Seconds by which the source's clock is ahead of ours."""
    seen: list[DictRow] | None = field(default=None, repr=False)
    """What the look that went along with the claim saw; None: there was none."""
    _clock: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """The database's time, as far as this process can tell without asking: it goes on while we sleep or are stopped."""
        return self.claimed_at + timedelta(seconds=time.monotonic() - self._clock)


def claim_run(
    database: Database, run_id: UUID, *, worker: str, lease: float, along: str | None = None
) -> Run | None:
    """Take the run, or None: another delivery was faster, it is not its time, its stream is being worked on, or too many
    wait for its account's limit. `along`: a look, by `%(run)s`, that goes with the claim in one trip.
    """
    asked = {"run": run_id, "worker": worker, "lease": lease, "line": LINE}
    seen: list[DictRow] | None = None
    try:
        if along is None:
            row = database.one(sql.claim_run, asked)
        else:
            with database.trip() as connection:
                claimed, looked = connection.execute(sql.claim_run, asked), connection.execute(along, asked)
            row, seen = claimed.fetchone(), looked.fetchall()
    except psycopg.errors.UniqueViolation:
        return None  # two runs of one stream and track at the same instant: whoever won wakes this one at its end
    if row is None:
        database.run(sql.turn_away, {"run": run_id, "line": LINE})
        return None
    columns = ("watermark", "position", "window_since", "window_until", "slice", "moved_at")
    stored = Stored(*(row.pop(column) for column in columns))
    del row["synchronous"]
    row["settings"] = _SETTINGS.read(row["connection_id"], row["settings"])
    return Run(cursor=stored, seen=seen, **row)
