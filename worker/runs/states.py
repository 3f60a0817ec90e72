"""Which states can a run be in, and what leads from one to the next?

docs/concepts.md draws this table, and the CHECKs of `runs` and `run_history` hold the database to it. Open runs are in
`runs`; a run that ends moves to `run_history` in the same statement. Final states have no way out.
"""

from enum import IntEnum, StrEnum


class Lane(IntEnum):
    """Who goes first. Lower is more urgent."""

    WRITE = 0
    WEBHOOK = 1
    ON_DEMAND = 2
    SCHEDULED = 3
    BACKFILL = 4


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    SUSPICIOUS_EMPTY = "suspicious_empty"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MERGED = "merged"


class Move(StrEnum):
    """What happens to a run."""

    CLAIM = "claim"
    """A worker takes it, and holds it by a lease."""
    GIVE_BACK = "give_back"
    """It waits for a limit, for its next slice, for another attempt, or its worker shuts down."""
    RESCUE = "rescue"
    """Its lease lapsed: the worker died, was cut off or stopped."""
    COMPLETE = "complete"
    """Every page was committed."""
    COMPLETE_WITH_REJECTS = "complete_with_rejects"
    """Every page was committed, and some records were set aside."""
    COMPLETE_EMPTY = "complete_empty"
    """Nothing came where there has always been something."""
    GIVE_UP = "give_up"
    """A person must act, or the attempts are spent."""
    CANCEL = "cancel"
    MERGE = "merge"
    """A successor waits for the same work already, so this one ends in it."""


OPEN = frozenset({State.QUEUED, State.RUNNING})
FINAL = frozenset(State) - OPEN

TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.QUEUED, Move.CLAIM): State.RUNNING,
    (State.QUEUED, Move.CANCEL): State.CANCELLED,
    (State.RUNNING, Move.GIVE_BACK): State.QUEUED,
    (State.RUNNING, Move.RESCUE): State.QUEUED,
    (State.RUNNING, Move.MERGE): State.MERGED,
    (State.RUNNING, Move.COMPLETE): State.SUCCEEDED,
    (State.RUNNING, Move.COMPLETE_WITH_REJECTS): State.PARTIAL,
    (State.RUNNING, Move.COMPLETE_EMPTY): State.SUSPICIOUS_EMPTY,
    (State.RUNNING, Move.GIVE_UP): State.FAILED,
    (State.RUNNING, Move.CANCEL): State.CANCELLED,
}


BULK_TRACKS = frozenset({"history", "sweep", "verify"})


def is_bulk(track: str, lane: int) -> bool:
    """Whether a run is long work, which gives others their turn."""
    return track in BULK_TRACKS or lane >= Lane.BACKFILL


def queue_for(system: str, lane: int, track: str) -> str:
    """The queue that carries a run. Long work has one of its own, served by processes of its own."""
    if is_bulk(track, lane):
        return f"sync.{system}.bulk"
    return f"sync.{system}.live" if lane < Lane.SCHEDULED else f"sync.{system}"


def queues_of(system: str) -> list[str]:
    """All queues of a system; the last is the bulk lane's."""
    return [f"write.{system}", f"sync.{system}.live", f"sync.{system}", f"sync.{system}.bulk"]
