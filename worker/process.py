"""How does a worker process start, and how does it stop?

It serves the lanes that it is told: the main ones, or the bulk one, for the systems named. On SIGTERM no new run is
begun, and those under way give their run back at the next page; what takes too long is given back by the watchdog.
"""

import os
import resource
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from celery.signals import worker_process_init, worker_ready, worker_shutting_down

from worker import tasks
from worker.app import CONTROL_QUEUE, celery_app, declare
from worker.config import Settings
from worker.connectors.registry import Watching
from worker.db.database import Database
from worker.db.queries import sql
from worker.db.schema_version import check_schema
from worker.engine.admission.turns import Turns
from worker.errors import HeadraceError, NeedsOperator
from worker.http.troubles import secret_troubles
from worker.runs.alive import Alive, process_name
from worker.runs.states import queues_of
from worker.services import Services, all_queues, current, serving, used_systems
from worker.supervision.ending import STANDS
from worker.supervision.watchdog import Watchdog

log = structlog.get_logger()

HANDLES = 65_536
"""More than a process of 256 threads ever needs, each with a system and Valkey on the line; shells allow 1,024."""


def run_worker(
    settings: Settings, *, systems: Sequence[str], bulk: bool, supervisor: int | None = None
) -> int:
    """Serve the queues of `systems` (all that are known, when empty) until SIGTERM; the exit code.

    Where `supervisor` is gone, so are we. Emits: worker_started, worker_stopped.
    """
    outlives_its_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` starts it
    allow_handles(HANDLES)
    threads = settings.bulk_concurrency if bulk else settings.concurrency
    lane = "bulk" if bulk else "main"
    opened = Services.open(
        settings,
        name=f"worker {lane} {process_name()}",
        threads=threads,
        publisher=False,
        one_system=len(systems) == 1,
    )
    try:
        check_schema(opened.database)
        queues = served_queues(opened, systems, bulk=bulk)
        watching = Watching(opened.registry, settings.reload_connectors)
        alive = Alive(opened.heart, "worker", queues=queues, slots=threads, troubles=secret_troubles)
        watchdog = Watchdog(
            opened.leases,
            opened.heart,
            most_megabytes=settings.process_memory,
            stop_within=settings.stop_within,
            supervisor=supervisor,
        )

        def say_so(sender: Any = None, **_: Any) -> None:
            if not systems:
                watching.start(lambda: serve_more(opened, sender, queues, bulk=bulk))
            # Not before Celery listens for SIGTERM: one that comes earlier would leave this process among the living.
            alive.start()
            watchdog.start()
            # Celery would start itself anew in this process, without draining.
            hung_up = signal.SIG_IGN if outlives_its_terminal else signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGHUP, hung_up)
            if supervisor is not None and os.getppid() == supervisor:
                os.kill(supervisor, STANDS)
            log.info("worker_started", lane=lane, queues=queues, slots=threads, task=tasks.run.name)

        worker_ready.connect(say_so, weak=False)
        try:
            with serving(opened):
                celery_app.worker_main(_arguments(settings, lane, queues, threads))
                forget_messages(opened.database, opened.turns)
            watchdog.see_off(watchdog.code)
        finally:
            watching.stop()
            watchdog.stop()
            alive.stop()
            log.info("worker_stopped", lane=lane, exit_code=watchdog.code)
    finally:
        opened.close()
    return watchdog.code


def allow_handles(wanted: int) -> None:
    """As many open files and sockets as we may have without asking, up to so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS may say no to what it promised
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def served_queues(opened: Services, systems: Sequence[str], *, bulk: bool) -> list[str]:
    """The queues of the lanes that this process serves. Raises `NotFound` for a system that isn't known.

    One whose manifest is broken, or kept without a file, is served: its runs go on with what is kept, or are told why not.
    """
    known = used_systems(opened)
    declare(all_queues(known))
    chosen = [
        system if system in known else opened.registry.get(system).system for system in systems
    ] or known
    if not chosen:
        raise NeedsOperator("no_systems", "No system is known, so there is nothing to serve.")
    queues = [queue for system in chosen for queue in queues_of(system) if queue.endswith(".bulk") == bulk]
    return queues if bulk else [*queues, CONTROL_QUEUE]


def serve_more(opened: Services, consumer: Any, queues: list[str], *, bulk: bool) -> None:
    """Serve systems that came up since the start. Emits: queues_added."""
    new = [queue for queue in served_queues(opened, (), bulk=bulk) if queue not in queues]
    for queue in new:
        consumer.call_soon(consumer.add_task_queue, queue)
    queues.extend(new)
    if new:
        log.info("queues_added", queues=new)


def forget_messages(database: Database, turns: Turns) -> None:
    """Let beat send at once for the runs that waited here for their turn, and will not get it."""
    if left := turns.left():
        with suppress(HeadraceError):  # Postgres is away: beat finds out by itself
            database.run(sql.forget_wakeups, {"runs": left})


def _arguments(settings: Settings, lane: str, queues: Sequence[str], threads: int) -> list[str]:
    arguments = [
        "--quiet",  # no banner: what stands in the log is JSON
        "worker",
        "--pool=threads",
        f"--concurrency={threads}",
        f"--queues={','.join(queues)}",
        f"--hostname={lane}-{process_name().replace(':', '-')}@%h",
        f"--loglevel={settings.log_level}",
        # Chatter among workers grows with the square of their number, and nothing here needs it.
        "--without-gossip",
        "--without-mingle",
    ]
    return [*arguments, "--events"] if settings.task_events else [*arguments, "--without-heartbeat"]


@worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def _drain(**_: Any) -> None:
    current().leases.drain()
    current().turns.close()


@worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _refuse_fork(**_: Any) -> None:
    """Connections made before a fork break after it; the pools here are of threads."""
    raise NeedsOperator("forked_pool", "Headrace's workers run in the thread pool.")
