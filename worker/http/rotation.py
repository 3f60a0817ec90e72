"""How is a secret spent that the system replaces each time, so that no worker ever loses the one that came instead?

One process at a time, by a lock that ends with whoever holds it: the secret is read as the store has it now, the store
is one that can be written, the request is sent, and what came instead is in the store before anything else happens,
unless somebody else has put another one there meanwhile: then theirs stays. What can't be written is used on from memory
and tried again and again, until it is written or the process ends.
What is left: a process that is killed between the system's answer and the write. Then the store holds a spent token, the
system says so, and a person must authorise the connection again.
"""

import atexit
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Protocol
from weakref import WeakSet

import structlog

from worker.connectors.contract import Renewal, Request, Response
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.secrets import Secret, is_writable, open_secret, replace_secret
from worker.telemetry.redaction import redactor

AT_ONCE = (0.0, 0.2, 1.0)
"""Seconds before each attempt to write what came, while the lock is held."""
AGAIN_EVERY = 5.0
PATIENCE = 30.0

log = structlog.get_logger(__name__)


class Locks(Protocol):
    """Who lets one process at a time spend a secret."""

    def hold(self, reference: str) -> AbstractContextManager[None]: ...


class LocksOfProcess:
    """For a process that is alone."""

    def __init__(self) -> None:
        self._lock = Lock()

    @contextmanager
    def hold(self, reference: str) -> Iterator[None]:
        del reference
        if not self._lock.acquire(timeout=PATIENCE):
            raise Transient("login_busy", "Another run is still logging in to the same connection.")
        try:
            yield
        finally:
            self._lock.release()


class Rotation:
    """The secrets that this process spends."""

    def __init__(self, locks: Locks | None = None) -> None:
        self._locks: Locks = locks or LocksOfProcess()
        self._lock = Lock()
        self._unwritten: dict[str, tuple[Secret, Secret]] = {}
        """By reference: what the store holds, which is spent, and what came instead."""
        self._trying: Thread | None = None
        with _all_lock:
            _all.add(self)

    def spend(
        self, reference: str, renewal: Renewal, log_in: Callable[[Request], Response], environment: str | None
    ) -> Response:
        """The answer to the renewal's request; what came instead of the secret is kept."""
        with self._locks.hold(reference):
            current = self._current(reference, environment)
            if renewal.replaces and not is_writable(reference):
                raise NeedsOperator(
                    "secret_not_writable",
                    f"The system replaces the secret {renewal.secret!r} each time it is used, and {reference} can't be written.",
                    hint="Keep it in a file, Vault, AWS Secrets Manager or Azure Key Vault that Headrace may write: docs/secrets.md.",
                )
            request = renewal.request(current.reveal())
            assert isinstance(request, Request)  # noqa: S101 - whoever drives the flow has made one of it
            answer = log_in(request)
            new = renewal.renewed(answer)
            if new is not None and new != current.reveal():
                redactor.add(new)
                self._keep(reference, current, Secret(new))
            return answer

    def unwritten(self) -> list[str]:
        """The references whose stores hold a spent secret, while this process knows the one that came instead."""
        return sorted(self._unwritten)

    def _current(self, reference: str, environment: str | None) -> Secret:
        stored = open_secret(reference, environment=environment, fresh=True)
        pending = self._unwritten.get(reference)
        if pending is None:
            return stored
        if stored != pending[0]:
            self._forget(reference)  # somebody has put another one there
            return stored
        self._write_again(reference)
        return pending[1]

    def _keep(self, reference: str, spent: Secret, new: Secret) -> None:
        before, _ = self._unwritten.get(reference, (spent, new))
        why = ""
        for pause in AT_ONCE:
            _never.wait(pause)
            try:
                _put(reference, before, new)
            except HeadraceError as exc:
                why = redactor.redact(exc.message)
            else:
                self._forget(reference)
                return
        with self._lock:
            self._unwritten[reference] = (before, new)
            if self._trying is None:
                self._trying = Thread(target=self._keep_trying, name="unwritten secrets", daemon=True)
                self._trying.start()
                atexit.register(self._try_all)
        log.error("replaced_secret_unwritten", reference=reference, why=why)

    def _keep_trying(self) -> None:
        while True:
            _never.wait(AGAIN_EVERY)
            self._try_all()
            with self._lock:
                if not self._unwritten:
                    self._trying = None
                    return

    def _try_all(self) -> None:
        for reference in self.unwritten():
            with suppress(HeadraceError), self._locks.hold(reference):
                self._write_again(reference)

    def _write_again(self, reference: str) -> None:
        """Under the lock of the reference."""
        if (pending := self._unwritten.get(reference)) is None:
            return
        with suppress(HeadraceError):
            _put(reference, *pending)
            self._forget(reference)

    def _forget(self, reference: str) -> None:
        with self._lock:
            self._unwritten.pop(reference, None)


def unwritten_secrets() -> list[str]:
    """The same of all that this process spends."""
    with _all_lock:
        known = tuple(_all)
    return sorted({reference for each in known for reference in each.unwritten()})


def _put(reference: str, before: Secret, new: Secret) -> None:
    """What another has put there meanwhile stays; a write whose answer was lost has happened."""
    if replace_secret(reference, before, new):
        log.info("secret_replaced", reference=reference)
    elif open_secret(reference, fresh=True) != new:
        log.warning("secret_replaced_by_another", reference=reference)


_never = Event()
_all: WeakSet[Rotation] = WeakSet()
_all_lock = Lock()
