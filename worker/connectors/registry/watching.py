"""Who looks whether somebody has edited a manifest? A thread of its own, so no run waits for it."""

import threading
from collections.abc import Callable

import structlog

from worker.connectors.registry.registry import Registry

log = structlog.get_logger()


class Watching:
    """Looks every few seconds until `stop`. With 0 seconds it never looks. Emits: manifests_unseen."""

    def __init__(self, registry: Registry, every: float) -> None:
        self._registry = registry
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="manifests", daemon=True)
        self._changed: Callable[[], object] = lambda: None

    def start(self, changed: Callable[[], object]) -> None:
        """`changed` is called after systems became others."""
        self._changed = changed
        if self._every > 0 and self._registry.watched:
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                if self._registry.look():
                    self._changed()
            except Exception:  # what can't be looked at now is looked at again
                log.exception("manifests_unseen")
