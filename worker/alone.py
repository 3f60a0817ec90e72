"""How does a run go alone in a process?

A run that was rescued twice may be what ended those workers. The worker that got its wake-up call claims it, starts a
process just for it and waits for that process's end; should it crash, it takes nobody along, and the worker knows at once
who it was. The process gets the claim through its standard input, and holds the lease as soon as it stands.
Emits: run_goes_alone, alone_ended.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select

import structlog

from worker.config import load_settings
from worker.ending import HUNG, UNDRAINED, exit_words
from worker.engine.perform import carry_on
from worker.errors import HeadraceError
from worker.runs.claim import Run
from worker.runs.finish import give_back
from worker.runs.rescue import end_lease
from worker.services import Services
from worker.telemetry.logs import configure_logging
from worker.watchdog import Watchdog

ROOT = Path(__file__).parents[1]
STANDS_WITHIN = 60.0
LOOK_EVERY = 0.2
GRACE = 5.0
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
            log.info("run_goes_alone", run_id=str(run.id), pid=child.pid)
            _hold_until_it_stands(services, run, stands)
            _wait_for(services, child)
    except OSError as exc:
        log.warning("alone_not_started", run_id=str(run.id), error=str(exc))
        _give_back(services, run)
        return
    finally:
        _turn.release()
    code = child.returncode
    if code in {0, UNDRAINED}:
        return
    words = f"that process ended with {exit_words(code)}" if code != HUNG else "it hung there"
    log.error("alone_ended", run_id=str(run.id), pid=child.pid, exit_code=code)
    end_lease(services.heart, run.id, run.claim_no, words)


@contextmanager
def _started(run: Run) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """The process, and a pipe that ends when it holds the lease, or doesn't live."""
    stands, says = os.pipe()
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from worker.alone import main; main(int(sys.argv[2]))"
    )
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(ROOT), str(says)],
            stdin=subprocess.PIPE,
            pass_fds=[says],
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
    with services.leases.holding(run.id, run.claim_no):
        select([stands], [], [], STANDS_WITHIN)


def _wait_for(services: Services, child: "subprocess.Popen[bytes]") -> None:
    """Until it has ended; told to stop with us, it may take as long as we may."""
    kill_at = None
    while child.poll() is None:
        if services.leases.draining and kill_at is None:
            kill_at = time.monotonic() + services.settings.stop_within + GRACE
            child.send_signal(signal.SIGTERM)
        if kill_at is not None and time.monotonic() > kill_at:
            child.kill()
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_EVERY)


def _give_back(services: Services, run: Run) -> None:
    """For a little while; beat wakes somebody when its time has come."""
    give_back(services.database, run.id, run.claim_no, wait=WAIT_FOR_TURN, reason="retry", spent=False)


def main(says: int) -> None:
    """The process: carry on with the one run whose claim stands on our standard input."""
    run: Run = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our parent, through a pipe that nobody else has
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(WORSE_FIRST)
    settings = load_settings()
    configure_logging(settings, process="worker-alone")
    services = Services.open(settings, name="worker alone", threads=1, publisher=False)
    signal.signal(signal.SIGTERM, lambda *_: services.leases.drain())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells our parent, too
    watchdog = Watchdog(
        services.leases,
        services.heart,
        most_megabytes=0,
        stop_within=settings.stop_within,
        supervisor=os.getppid(),
    )
    watchdog.start()
    with services.leases.holding(run.id, run.claim_no):
        services.leases.renew()
    os.close(says)
    try:
        carry_on(services, run)
    except HeadraceError as exc:
        # Postgres is away: the run's lease lapses.
        log.warning("run_left_to_its_lease", run_id=str(run.id), error_code=exc.code, error=str(exc))
    watchdog.stop()
    services.close()
    sys.exit(watchdog.code)
