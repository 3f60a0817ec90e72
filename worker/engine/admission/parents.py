"""Does a run have to wait for the run of another stream? Parents before children, where the manifest says so.

A work order that is read before its asset refers to nothing for a while. So a scheduled run of a child lets a parent's go
first that is owed at the same time, or that has never been. It lets it for some minutes and no longer, and not at all where
the parent fails: a child must not stand still because of it.
"""

from collections.abc import Sequence
from datetime import timedelta

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import NotNow
from worker.runs.claim import Run
from worker.runs.states import Lane

PATIENCE = 300.0
"""Seconds since a run was asked for after which it goes, whatever its parents do."""
SHORTEST, LONGEST = 2.0, 30.0


def let_parents_go_first(database: Database, run: Run, parents: Sequence[str]) -> None:
    """Raise NotNow while a parent's run comes first. A run under way, and what was asked for by hand, isn't held up."""
    if not parents or run.track != "live" or run.lane < Lane.SCHEDULED or run.cursor.position is not None:
        return
    owed = database.one(
        sql.owed_parent,
        {
            "run": run.id,
            "connection": run.connection_id,
            "parents": list(parents),
            "patience": PATIENCE,
        },
    )
    if owed is None:
        return
    raise NotNow(
        "parent_first",
        f"The run of {owed['name']} comes first.",
        resume_at=run.now() + timedelta(seconds=wait_for(owed["age"])),
        reason="parent",
    )


def wait_for(age: float) -> float:
    """How long until it looks again: the longer it has waited, the longer."""
    return min(LONGEST, max(SHORTEST, age / 4))
