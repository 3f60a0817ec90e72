"""Who is alive? Every process writes a row of its own every few seconds, and the living notice the dead by it.

With it goes what only the process itself can see to be wrong, for `headrace doctor` to tell.
"""

import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Literal
from uuid import uuid4

import structlog
from psycopg.types.json import Jsonb

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import HeadraceError

log = structlog.get_logger()

EVERY = 10.0
Troubles = Callable[[], Sequence[Mapping[str, str]]]
"""What is wrong now, as flat objects with a `code`."""


def process_name() -> str:
    """Host and pid: what an engineer needs to find a process."""
    return f"{platform.node()}:{os.getpid()}"


class Alive:
    """The row of this process in `processes`, kept fresh by a thread until `stop`. Emits: heartbeat_failed."""

    def __init__(
        self,
        database: Database,
        kind: Literal["worker", "beat", "api"],
        *,
        queues: Sequence[str] = (),
        slots: int = 0,
        troubles: Troubles = tuple,
    ) -> None:
        self._database = database
        self._troubles = troubles
        self._row = {
            "id": uuid4(),
            "kind": kind,
            "name": process_name(),
            "queues": list(queues),
            "slots": slots,
            "version": version("headrace"),
        }
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="alive", daemon=True)

    def start(self) -> None:
        self.note()
        self._thread.start()

    def stop(self) -> None:
        """Take the row away: whoever leaves in order isn't missed."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)  # it might write once more
        try:
            self._database.run(sql.forget_process, {"id": self._row["id"]})
        except HeadraceError as exc:
            log.warning("heartbeat_failed", error=str(exc))

    def note(self) -> None:
        try:
            self._database.run(sql.note_process, {**self._row, "troubles": Jsonb([*self._troubles()])})
        except HeadraceError as exc:
            log.warning("heartbeat_failed", error=str(exc))

    def _beat(self) -> None:
        while not self._stopped.wait(EVERY):
            try:
                self.note()
            except Exception:  # without this thread the living take us for dead
                log.exception("heartbeat_failed")
