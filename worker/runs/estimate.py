"""How long until a queued run begins? What stands before it, who works on that, and what its account may do.

An estimate and no promise: those who wait take turns by account, and a more urgent run may come. Counting stops at a
thousand, so asking costs the same however much waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from worker.db.database import Database
from worker.db.queries import sql

TYPICAL = 1.0
"""Seconds that a run is taken to need where none of its connection has ended yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queued run stands."""

    outstanding: int
    """Runs of its queue that have a message already, and come first."""
    earlier: int
    """Runs of its own connection that wait for one, and come first."""
    waiting: int
    """All runs of its queue that wait for one."""
    connections: int
    """How many connections they belong to: these take turns."""
    slots: int
    """Of the workers that serve its queue; they serve others, too."""
    running: int
    """Runs of its queue that are at work."""
    typical: float | None
    """Seconds that the last runs of its connection took, in the middle."""
    wait: float
    """Seconds for which it waits in any case: for a limit, or before it is tried again."""
    published: bool
    account: str
    """Whose budget it needs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`ahead` runs come first; `seconds` until it begins, None where nobody serves its queue."""

    ahead: int
    seconds: float | None


def estimate(place: Place, *, limit: float = 0.0) -> Estimate:
    """`limit`: seconds until its account may send again, as the budget says."""
    ahead = place.outstanding
    if not place.published:
        ahead += min(place.waiting, (place.earlier + 1) * max(1, place.connections) - 1)
    if not place.slots:
        return Estimate(ahead, None)
    free = place.slots - place.running
    rounds = max(0.0, (ahead + 1 - free) / place.slots)
    return Estimate(ahead, max(place.wait, limit, rounds * (place.typical or TYPICAL)))


def places(database: Database, runs: Sequence[UUID]) -> dict[UUID, Place]:
    """Where those of the runs stand that are still queued."""
    rows = database.all(sql.places_in_queue, {"runs": list(runs)})
    return {row.pop("id"): Place(**row) for row in rows}
