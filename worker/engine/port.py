"""What must a process bring along to carry out runs?"""

from typing import Protocol

from worker.config import Settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.engine.fetching.ahead import Ahead
from worker.http.sender import Sender
from worker.runs.leases import Leases


class Engine(Protocol):
    """The parts of a worker process, each safe to share between its threads."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def sender(self) -> Sender: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def ahead(self) -> Ahead:
        """What its runs share to fetch pages ahead of their turn."""
        ...

    @property
    def worker(self) -> str:
        """Host and pid, as they stand on the runs of this process."""
        ...
