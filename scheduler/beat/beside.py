"""How does beat do what may take seconds without being late for the schedule? On one thread beside its rounds.

One sweep after the other, each waiting at most once: a beat that has fallen behind doesn't pile them up, and they take no
more than one connection of the pool. They end with the process, wherever they are: each is made of short transactions and
harmless when done again. Emits: sweep_failed.
"""

import threading
from collections.abc import Callable

import structlog

from worker.errors import HeadraceError
from worker.services import Services

log = structlog.get_logger()

Work = Callable[[Services], object]


def carry_out(name: str, run: Work, services: Services) -> None:
    """One sweep that fails, or finds a lock held, must not keep anything else from being done."""
    try:
        run(services)
    except HeadraceError as exc:
        log.warning("sweep_failed", sweep=name, error_code=exc.code, error=str(exc))
    except Exception:
        log.exception("sweep_failed", sweep=name)


class Beside:
    """The thread of one beat, as long as there is something to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Work, Services]] = {}
        self._busy = False

    def sweep(self, name: str, run: Work) -> Work:
        """The sweep as one that is only asked for: who calls it doesn't wait."""

        def ask(services: Services) -> None:
            with self._lock:
                self._waiting.setdefault(name, (run, services))
                if self._busy:
                    return
                self._busy = True
            threading.Thread(target=self._work, name="sweeps", daemon=True).start()

        return ask

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                name = next(iter(self._waiting))
                run, services = self._waiting.pop(name)
            carry_out(name, run, services)
