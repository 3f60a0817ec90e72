"""How does a process keep the runs that it works on?

One thread renews all of them with one statement, several times within a lease. A run that doesn't come back was given to
somebody else and is marked as lost; one that was cancelled is marked, too; its own thread sees the mark at the next page.
A run without progress for too long is not renewed, so that a thread which hangs doesn't keep its run for ever; the
watchdog ends the process then. A run that works and works gives its place back at a page once its time is up.
Emits: lease_lost, run_stalled, lease_renewal_failed.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import Cancelled, Draining, HeadraceError, LostLease, SliceEnded

log = structlog.get_logger()

STALL = 600.0
"""Seconds without a page or a wait after which a run is taken to hang."""


class Held:
    """One run in the hands of this process."""

    def __init__(self, run_id: UUID, claim_no: int, stopping: threading.Event, deadline: float) -> None:
        self.run_id = run_id
        self.claim_no = claim_no
        self.lost = False
        self.cancelled = False
        self.thread = threading.current_thread().name
        self.progress_at = time.monotonic()
        self._ends_at = self.progress_at + deadline
        self._stopping = stopping

    def stay(self) -> None:
        """Its work can't be handed on in the middle: it is not given back for having taken long."""
        self._ends_at = math.inf

    def check(self) -> None:
        """Say that the run moves on; raise where it must not: lost, cancelled, its time is up, or we are shutting down."""
        self.progress_at = time.monotonic()
        if self.lost:
            raise LostLease(self.run_id)
        if self.cancelled:
            raise Cancelled(self.run_id)
        if self._stopping.is_set():
            raise Draining("This worker is shutting down.")
        if self.progress_at >= self._ends_at:
            raise SliceEnded("The run's time in one worker is up; it goes on after others had their turn.")


class Leases:
    """The runs of this process. Safe to share between threads."""

    def __init__(
        self, database: Database, *, lease: float, stall: float = STALL, deadline: float = math.inf
    ) -> None:
        self._database = database
        self._lease = lease
        self._stall = stall
        self._deadline = deadline
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, run_id: UUID, claim_no: int) -> Iterator[Held]:
        """Renew this run's lease until the end of the block."""
        held = Held(run_id, claim_no, self._stopping, self._deadline)
        with self._lock:
            self._held.add(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_for_ever, name="leases", daemon=True)
                self._thread.start()
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    def drain(self) -> None:
        """Let every run go back to the queue at its next page."""
        self._stopping.set()

    @property
    def draining(self) -> bool:
        return self._stopping.is_set()

    @property
    def stall(self) -> float:
        """Seconds without a page after which a run is taken to hang."""
        return self._stall

    def held(self) -> list[Held]:
        """The runs in the hands of this process now."""
        with self._lock:
            return list(self._held)

    def close(self) -> None:
        self._closed.set()

    def _renew_for_ever(self) -> None:
        while not self._closed.wait(self._lease / 4):
            try:
                self.renew()
            except HeadraceError as exc:
                # Postgres is away. The leases may lapse; whoever comes back late is refused by the fence.
                log.warning("lease_renewal_failed", error=str(exc))
            except Exception:  # without this thread every run of the process would be lost, now and later
                log.exception("lease_renewal_failed")

    def renew(self) -> None:
        """Renew all leases now."""
        oldest = time.monotonic() - self._stall
        held = self.held()
        for stalled in (h for h in held if h.progress_at < oldest):
            log.error("run_stalled", run_id=str(stalled.run_id), seconds=self._stall)
        for lost in (h for h in held if h.lost):
            log.warning("lease_lost", run_id=str(lost.run_id))
        live = [h for h in held if h.progress_at >= oldest and not h.lost]
        if not live:
            return
        rows = self._database.all(
            sql.renew_leases,
            {
                "runs": [h.run_id for h in live],
                "claims": [h.claim_no for h in live],
                "lease": self._lease,
            },
        )
        still = {(row["id"], row["claim_no"]): row["cancelled"] for row in rows}
        for h in live:
            claim = (h.run_id, h.claim_no)
            if claim in still:
                h.cancelled = still[claim]
            else:
                h.lost = (
                    True  # or it has just ended: only what is still held at the next look is worth a word
                )
