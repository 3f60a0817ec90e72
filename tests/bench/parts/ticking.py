"""Our beat as users start it, and a note of every tick: how long it took and how many streams it dispatched.

    python -m tests.bench.parts.ticking NOTES        (settings in the environment, as for `headrace beat`)

Until SIGTERM; then NOTES holds JSON. What is timed is the tick of Celery's own service, as with the peers.
"""

import json
import sys
import time
from pathlib import Path

import scheduler.beat.scheduler as ours
from scheduler.beat.process import run_beat
from worker.config import load_settings
from worker.telemetry.logs import configure_logging


def main() -> None:
    notes: list[tuple[float, float, int, float]] = []
    dispatched = 0
    names = vars(ours)
    dispatch, tick = names["dispatch_due"], ours.ConnectionScheduler.tick

    def counted(database: object, pacing: object) -> int:
        nonlocal dispatched
        count: int = dispatch(database, pacing)
        dispatched += count
        return count

    def timed(scheduler: ours.ConnectionScheduler) -> float:
        before, begun = dispatched, time.perf_counter()
        pause = tick(scheduler)
        took = time.perf_counter() - begun
        notes.append((time.time(), took, dispatched - before, time.process_time()))
        return pause

    names["dispatch_due"] = counted
    ours.ConnectionScheduler.tick = timed  # type: ignore[method-assign,assignment]
    settings = load_settings()
    configure_logging(settings, process="beat")
    try:
        run_beat(settings)
    finally:
        Path(sys.argv[1]).write_text(json.dumps(notes), encoding="utf-8")


if __name__ == "__main__":
    main()
