"""Which beats have fallen silent, and how do the others know of this one?

A beat writes down every few seconds that its rounds go on; the thread that keeps its process among the living would go
on without them. Whoever looks sees who has stopped: a process that hangs, was stopped, or died. Nothing is taken over
from it, since beats share the work without a leader. Emits: beat_silent.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql

log = structlog.get_logger()

SILENT_AFTER = 30.0
"""Seconds without a round. One that carries much takes two or three."""


def note_round(database: Database, name: str) -> None:
    """Keep that this beat has just been through a round."""
    database.run(sql.note_tick, {"name": name})


def silent_beats(database: Database) -> Sequence[DictRow]:
    """Those that have not been through a round for too long: `name`, and for how many seconds."""
    return database.all(sql.silent_beats, {"silent": SILENT_AFTER})


class Others:
    """Says once of each that it fell silent, and again if it came back meanwhile."""

    def __init__(self) -> None:
        self._told: set[UUID] = set()

    def look(self, database: Database) -> int:
        """How many are silent."""
        silent = {row["id"]: row for row in silent_beats(database)}
        for found in silent.keys() - self._told:
            log.warning("beat_silent", beat=silent[found]["name"], seconds=round(silent[found]["silent"]))
        self._told = set(silent)
        return len(silent)
