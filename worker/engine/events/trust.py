"""May a record go because a webhook, or a re-read after one, says so? The fuse of deletes holds here as it does for sweeps.

A system that hides records from a user answers "not there" of each. So many in a row of which none had been told to be
deleted are not believed, and more in a day than may go without asking wait for a person.
"""

from collections.abc import Sequence
from datetime import datetime

from worker.engine.deletes.absent import hold_absent, may_go
from worker.engine.job import Job
from worker.engine.port import Engine

BELIEVED = 10
"""So many are believed to be gone though nobody told of a delete and none was found."""


class Trust:
    """What one run has seen of a system so far."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine, self._job = engine, job
        self._found = False
        self._unsaid = 0

    def found(self) -> None:
        """The system knew one of the records: it isn't a wrong address."""
        self._found = True

    def doubts(self) -> bool:
        """Another isn't there of which no delete was told: whether that is too odd to be believed."""
        self._unsaid += 1
        return not self._found and self._unsaid > BELIEVED

    def holds(self, keys: Sequence[str], at: datetime) -> bool:
        """Whether these must not go yet: then they are held, for a person to decide."""
        may = may_go(self._engine, self._job, len(keys))
        return not may and hold_absent(self._engine, self._job, keys, at) is not None
