"""What ends a worker process whose threads can't be ended?

Celery has no time limits on threads, and Python can't stop one. So a thread of its own looks every second: does a run
hang, has the process grown too large, is its supervisor gone? Then it takes no new work, lets the other runs come to the
end of their page, gives back what is left after `stop_within`, and ends the process with a code that says why; whoever
started it starts another. A run that hangs keeps its claim: its lease lapses, and the rescue counts it.

Should a library hold Python's lock for ever, no thread of ours runs: a timer in C, set anew at each look, writes the
stacks and ends the process then.
Emits: run_hangs, worker_drains, runs_left_behind, worker_ends.
"""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
import structlog

from worker.db.database import Database
from worker.errors import HeadraceError
from worker.runs.finish import give_back
from worker.runs.leases import Held, Leases
from worker.supervision.ending import HUNG, RECYCLED, UNDRAINED
from worker.telemetry.redaction import redactor

LOOK_EVERY = 1.0
GRACE = 5.0
"""A run that stalls is not renewed from `stall` on; so much later it is taken to hang for good."""
HAND_OVER_WITHIN = 5.0
SEE_OFF_WITHIN = 8.0
"""For a last word to Postgres, and less than a supervisor waits beyond `stop_within`."""
STDERR = 2
MEBIBYTE = 1024 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    hung: int
    others: int
    """Runs that are at work and don't hang."""
    megabytes: float
    orphaned: bool
    told_to_stop: bool


@dataclass(frozen=True, slots=True)
class Course:
    """Where this process is going: it works, or it drains since a moment and will end with a code."""

    draining_since: float | None = None
    code: int = 0
    reason: str = ""
    over: bool = False


def steer(course: Course, look: Look, now: float, *, most_megabytes: int, stop_within: float) -> Course:
    """The course after this look. Pure."""
    if course.draining_since is None:
        return _at_work(course, look, now, most_megabytes)
    code = HUNG if look.hung else course.code
    late = now - course.draining_since >= stop_within
    if late or (look.hung and not look.others):
        return Course(course.draining_since, code or UNDRAINED, course.reason, over=True)
    return Course(course.draining_since, code, course.reason)


def _at_work(course: Course, look: Look, now: float, most_megabytes: int) -> Course:
    if look.hung:
        return Course(now, HUNG, "a run hangs")
    if look.orphaned:
        return Course(now, 0, "its supervisor is gone")
    if look.told_to_stop:
        return Course(now, 0, "it was told to stop")
    if most_megabytes and look.megabytes > most_megabytes:
        return Course(now, RECYCLED, f"it uses {look.megabytes:.0f} MB")
    return course


class Watchdog:
    """Looks after this process until `stop`."""

    def __init__(
        self,
        leases: Leases,
        database: Database,
        *,
        most_megabytes: int,
        stop_within: float,
        supervisor: int | None = None,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._leases = leases
        self._database = database
        self._most_megabytes = most_megabytes
        self._stop_within = stop_within
        self._supervisor = supervisor
        self._end = end
        self._process = psutil.Process()
        self._stopped = threading.Event()
        self._course = Course()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    @property
    def code(self) -> int:
        """With what this process should end, once it has drained."""
        return self._course.code

    def start(self) -> None:
        self._arm()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        faulthandler.cancel_dump_traceback_later()

    def see_off(self, code: int) -> None:
        """All is done. Should anything keep the process, such as a thread that still waits for a page nobody wants any
        more, it is ended in a moment: Python would wait for that thread, however long.
        """
        self._stopped.set()
        late = threading.Timer(SEE_OFF_WITHIN, self._end, [code])
        late.daemon = True
        late.start()

    def _watch(self) -> None:
        while not self._stopped.wait(min(LOOK_EVERY, self._stop_within / 4)):
            self._arm()
            try:
                self.look()
            except Exception:  # without this thread nothing ends a process that hangs
                log.exception("watchdog_failed")

    def _arm(self) -> None:
        """Whoever can't run for so long has lost all its leases: no work of it is of use to anybody."""
        faulthandler.dump_traceback_later(self._leases.stall + GRACE, exit=True, file=STDERR)

    def look(self) -> None:
        """Look once, and do what follows."""
        held = self._leases.held()
        hung = _hung(held, self._leases.stall + GRACE)
        look = Look(
            hung=len(hung),
            others=len(held) - len(hung),
            megabytes=self._process.memory_info().rss / MEBIBYTE,
            orphaned=self._supervisor is not None and os.getppid() != self._supervisor,
            told_to_stop=self._leases.draining,
        )
        before, self._course = (
            self._course,
            steer(
                self._course,
                look,
                time.monotonic(),
                most_megabytes=self._most_megabytes,
                stop_within=self._stop_within,
            ),
        )
        if before.code != HUNG and self._course.code == HUNG:
            _say_stacks(hung)
        if before.draining_since is None and self._course.draining_since is not None:
            self._drain()
        if self._course.over:
            self._leave()

    def _drain(self) -> None:
        log.warning("worker_drains", reason=self._course.reason, within=self._stop_within)
        if not self._leases.draining:
            self._leases.drain()
            os.kill(os.getpid(), signal.SIGTERM)  # Celery takes nothing more, and ends when its threads do

    def _leave(self) -> None:
        """Give back what doesn't hang, as far as the database lets us, and end."""
        hander = threading.Thread(target=self._hand_over, name="hand-over", daemon=True)
        hander.start()
        hander.join(HAND_OVER_WITHIN)
        log.error("worker_ends", exit_code=self._course.code, reason=self._course.reason)
        logging.shutdown()
        self._end(self._course.code)

    def _hand_over(self) -> None:
        held = self._leases.held()
        hung = set(_hung(held, self._leases.stall + GRACE))
        for run in held:
            if run in hung or run.lost:
                continue
            try:
                # Under the fence: whatever its thread still does for the run is refused from here on.
                give_back(self._database, run.run_id, run.claim_no, wait=0.0, reason="drain", spent=False)
                log.warning("run_left_behind", run_id=str(run.run_id))
            except HeadraceError as exc:
                log.warning("run_left_to_its_lease", run_id=str(run.run_id), error_code=exc.code)


def _hung(held: Sequence[Held], patience: float) -> list[Held]:
    oldest = time.monotonic() - patience
    return [run for run in held if run.progress_at < oldest]


def _say_stacks(hung: Sequence[Held]) -> None:
    """Where every thread of this process stands, those that hang first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = {
        names.get(ident, str(ident)): "".join(traceback.format_stack(frame))
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - there is no other way to them
    }
    for run in hung:
        stack = redactor.redact(stacks.pop(run.thread, "(its thread is gone)"))
        log.error("run_hangs", run_id=str(run.run_id), thread=run.thread, stack=stack)
    others = [f"{name}\n{redactor.redact(stack)}" for name, stack in sorted(stacks.items())]
    log.error("other_threads", stacks=others)
