"""How does a run go alone in a process?

A run that was rescued twice may be what ended those workers. The worker that got its wake-up call claims it, starts a
process just for it and waits for that process's end; should it crash, it takes nobody along, and the worker knows at once
who it was. The process gets the claim through its standard input, and holds the lease as soon as it stands.

Only a crash counts against the run. Told to stop with its worker, the process is through before that one is, and what it
leaves is given back. When the worker itself dies the process is not killed with it, since that would look like a crash of
its own: it notices, gives its run back at the next page, and ends.
Emits: run_goes_alone, alone_ended.
"""

import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from worker.config import load_settings
from worker.engine.perform import carry_on
from worker.errors import HeadraceError, LostLease
from worker.runs.claim import Run
from worker.runs.finish import give_back
from worker.runs.rescue import end_lease
from worker.services import Services
from worker.supervision.ending import CUT_OFF, HUNG, UNDRAINED, exit_words
from worker.supervision.watchdog import Watchdog
from worker.telemetry.logs import configure_logging

ROOT = Path(__file__).parents[2]
STANDS_WITHIN = 60.0
LOOK_EVERY = 0.2
STOPS_WITHIN, KILLED_AFTER = 0.8, 0.9
"""Of the time that a stop may take: so that a worker can still say what became of the run before its own time is up."""
BLAMELESS = frozenset({UNDRAINED, CUT_OFF, -signal.SIGTERM})
"""Codes that say nothing against a run; by a signal where that came before the process listened for it."""
WAIT_FOR_TURN = 2.0
WORSE_FIRST = "500"
"""Where memory runs out, the kernel ends this process and not a neighbour."""

log = structlog.get_logger()

_turn = threading.Semaphore(2)
"""Each is a whole process: of many such runs, a worker carries out two at a time."""


def run_alone(services: Services, run: Run) -> None:
    """Carry out a claimed run in a process of its own, and come back when that has ended."""
    if not _turn.acquire(blocking=False):
        _give_back(services, run)
        return
    try:
        with _started(run) as (child, stands):
            log.info("run_goes_alone", run_id=str(run.id), child_pid=child.pid)
            _hold_until_it_stands(services, run, stands)
            killed = _wait_for(services, child)
    except OSError as exc:
        log.warning("alone_not_started", run_id=str(run.id), error=str(exc))
        _give_back(services, run)
        return
    finally:
        _turn.release()
    if killed or child.returncode in BLAMELESS:
        with suppress(LostLease):  # it may have let go of the run itself
            _give_back(services, run)
        return
    if end_lease(services.heart, run.id, run.claim_no, _words(child.returncode)):
        log.error("alone_ended", run_id=str(run.id), child_pid=child.pid, exit_code=child.returncode)


def _words(code: int) -> str:
    if code == HUNG:
        return "it hung there"
    return f"that process ended with {exit_words(code)}" if code else "that process ended by itself"


@contextmanager
def _started(run: Run) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """The process, and a pipe that ends when it holds the lease, or doesn't live."""
    stands, says = os.pipe()
    program = "import sys; sys.path.insert(0, sys.argv[1]); from worker.supervision import alone; alone.main(*map(int, sys.argv[2:]))"
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(ROOT), str(says), str(os.getpid())],
            stdin=subprocess.PIPE,
            pass_fds=[says],
            start_new_session=True,  # who buries a dead worker kills its group
        )
    except OSError:
        os.close(stands)
        raise
    finally:
        os.close(says)
    try:
        assert child.stdin is not None  # noqa: S101 - asked for above
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(pickle.dumps(run))
        yield child, stands
    finally:
        os.close(stands)
        if child.poll() is None:
            child.kill()
            child.wait()


def _hold_until_it_stands(services: Services, run: Run, stands: int) -> None:
    ends = select.poll()  # `select` takes no descriptor beyond 1023
    ends.register(stands)
    with services.leases.holding(run.id, run.claim_no):
        ends.poll(STANDS_WITHIN * 1000)


def _wait_for(services: Services, child: "subprocess.Popen[bytes]") -> bool:
    """Until it has ended. Whether we killed it, since it went on when it was told to stop with us."""
    kill_at = None
    while child.poll() is None:
        if services.leases.draining and kill_at is None:
            kill_at = time.monotonic() + KILLED_AFTER * services.settings.stop_within
            child.send_signal(signal.SIGTERM)
        if kill_at is not None and time.monotonic() > kill_at:
            child.kill()
            child.wait()
            return True
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_EVERY)
    return False


def _give_back(services: Services, run: Run) -> None:
    """For a little while; beat wakes somebody when its time has come."""
    give_back(services.database, run.id, run.claim_no, wait=WAIT_FOR_TURN, reason="retry", spent=False)


def main(says: int, parent: int) -> None:
    """The process: carry on with the one run whose claim stands on our standard input."""
    run: Run = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our parent, through a pipe that nobody else has
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(WORSE_FIRST)
    settings = load_settings()
    configure_logging(settings, process="worker-alone")
    services = Services.open(settings, name="worker alone", threads=1, publisher=False)
    signal.signal(signal.SIGTERM, lambda *_: services.leases.drain())
    watchdog = Watchdog(
        services.leases,
        services.heart,
        most_megabytes=0,
        stop_within=STOPS_WITHIN * settings.stop_within,
        supervisor=parent,
    )
    watchdog.start()
    left = 0
    try:
        with services.leases.holding(run.id, run.claim_no):
            services.leases.renew()
        os.close(says)
        carry_on(services, run)
    except HeadraceError as exc:
        # Postgres is away: our parent may still give the run back, or its lease lapses.
        log.warning("run_left_to_its_lease", run_id=str(run.id), error_code=exc.code, error=str(exc))
        left = CUT_OFF
    code = watchdog.code or left
    watchdog.see_off(code)
    services.close()
    sys.exit(code)
