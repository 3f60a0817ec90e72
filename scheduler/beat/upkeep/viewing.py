"""How does beat keep views up to date without being late for the schedule? On a thread of its own, one round at a time.

Emits: views_failed, and what making views and stores emits.
"""

import threading

import structlog

from worker.errors import HeadraceError
from worker.services import Services
from worker.views.tending import Tending

log = structlog.get_logger()


class Viewing:
    """The rounds of this process. They end with it, wherever they are: each step is a transaction."""

    def __init__(self) -> None:
        self._tending: Tending | None = None
        self._thread: threading.Thread | None = None

    def tend(self, services: Services) -> None:
        """Start a round, unless the last one still goes on."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._tending is None or self._tending.database is not services.database:
            self._tending = Tending(services.database, services.registry)
        self._thread = threading.Thread(target=_round, args=(self._tending,), name="views", daemon=True)
        self._thread.start()


def _round(tending: Tending) -> None:
    try:
        tending.round()
    except HeadraceError as exc:
        log.warning("views_failed", error_code=exc.code, error=str(exc))
    except Exception:
        log.exception("views_failed")
