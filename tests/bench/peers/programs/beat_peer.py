"""Other people's beats: dispatch entries of one interval whose times are spread evenly over it, and say how late they are.

    python beat_peer.py redbeat|sqlalchemy ENTRIES EVERY SECONDS        (BROKER and DATABASE in the environment)

Runs in the environment of the peers. A first process seeds, as many as asked for, then becomes the beat, so that its
memory is that of a beat. The last line on stdout is JSON: lags of what fell due in the window, and what ticks took.
"""

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.beat import Service

KIND, ENTRIES, EVERY, SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
LEAD = {"redbeat": 6.0, "sqlalchemy": 6.0 + ENTRIES / 5000}[KIND]
"""Seconds that it may take to start."""
GRACE = 7.0
"""Seconds after the window in which what fell due in it still counts."""

app = Celery("peer", broker=os.environ["BROKER"] + "/0")
app.conf.update(
    task_ignore_result=True,
    beat_max_loop_interval=5,
    redbeat_redis_url=os.environ["BROKER"] + "/1",
    beat_dburi=os.environ["DATABASE"].replace("postgresql://", "postgresql+psycopg2://"),
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


def due_at(base: float, number: int) -> float:
    return base + (number + 0.5) / ENTRIES * EVERY


def seed_redbeat(base: float) -> None:
    """What `save` writes, in pipelines; the index as it is once every entry has run."""
    import redis
    from celery.schedules import schedule
    from redbeat import RedBeatSchedulerEntry
    from redbeat.decoder import RedBeatJSONEncoder
    from redbeat.schedulers import ensure_conf

    ensure_conf(app)
    client = redis.Redis.from_url(os.environ["BROKER"] + "/1")
    client.flushdb()
    interval = schedule(EVERY)
    pipe = client.pipeline(transaction=False)
    for number in range(ENTRIES):
        name = f"e{number}"
        key = RedBeatSchedulerEntry.generate_key(app, name)
        definition = {
            "name": name,
            "task": "noop",
            "args": [number],
            "kwargs": {},
            "options": {},
            "schedule": interval,
            "enabled": True,
        }
        meta = {"last_run_at": datetime.fromtimestamp(due_at(base, number) - EVERY, UTC)}
        pipe.hset(key, "definition", json.dumps(definition, cls=RedBeatJSONEncoder))
        pipe.hset(key, "meta", json.dumps(meta, cls=RedBeatJSONEncoder))
        pipe.zadd(app.redbeat_conf.schedule_key, {key: due_at(base, number)})
        if number % 1000 == 999:
            pipe.execute()
    pipe.execute()


def seed_sqlalchemy(base: float) -> None:
    import sqlalchemy
    from sqlalchemy_celery_beat import models
    from sqlalchemy_celery_beat.session import SessionManager

    manager = SessionManager()
    engine, make_session = manager.create_session(app.conf.beat_dburi, schema=None)
    manager.prepare_models(engine, schema=None)
    with make_session() as session:
        interval = models.IntervalSchedule(every=int(EVERY), period=models.Period.SECONDS)
        session.add(interval)
        session.commit()
        rows = [
            {
                "name": f"e{number}",
                "task": "noop",
                "args": f"[{number}]",
                "kwargs": "{}",
                "headers": "{}",
                "schedule_id": interval.id,
                "discriminator": interval.discriminator,
                "enabled": True,
                "one_off": False,
                "total_run_count": 1,
                "last_run_at": datetime.fromtimestamp(due_at(base, number) - EVERY, UTC),
            }
            for number in range(ENTRIES)
        ]
        session.execute(sqlalchemy.insert(models.PeriodicTask), rows)
        session.commit()


def seed() -> None:
    """Then become the beat: a fresh process, with the times that were seeded."""
    begun = time.time()
    base = begun + LEAD + ENTRIES / 4000
    {"redbeat": seed_redbeat, "sqlalchemy": seed_sqlalchemy}[KIND](base)
    environment = {**os.environ, "BASE": str(base)}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def beat(base: float) -> None:
    scheduler_class = {
        "redbeat": "redbeat.RedBeatScheduler",
        "sqlalchemy": "sqlalchemy_celery_beat.schedulers:DatabaseScheduler",
    }[KIND]
    service = Service(app, scheduler_cls=scheduler_class)
    scheduler: Any = service.scheduler
    sent: dict[int, float] = {}
    ticks: list[tuple[float, float, int]] = []
    send, tick = scheduler.apply_async, scheduler.tick

    def timed_send(entry: Any, *args: Any, **options: Any) -> Any:
        result = send(entry, *args, **options)
        if entry.task == "noop":
            sent.setdefault(int(entry.args[0]), time.time())
        return result

    def timed_tick(*args: Any, **options: Any) -> Any:
        before, begun = len(sent), time.perf_counter()
        result = tick(*args, **options)
        ticks.append((time.time(), time.perf_counter() - begun, len(sent) - before))
        return result

    scheduler.apply_async, scheduler.tick = timed_send, timed_tick
    threading.Thread(target=watch, args=(base, sent, ticks), daemon=True).start()
    service.start()


def watch(base: float, sent: dict[int, float], ticks: list[tuple[float, float, int]]) -> None:
    pause = threading.Event()
    pause.wait(max(0.0, base - time.time()))
    cpu = time.process_time()
    pause.wait(max(0.0, base + SECONDS - time.time()))
    cpu = time.process_time() - cpu
    pause.wait(GRACE)
    import psutil

    wanted = [number for number in range(ENTRIES) if base <= due_at(base, number) < base + SECONDS]
    lags = [sent[number] - due_at(base, number) for number in wanted if number in sent]
    inside = [(took, count) for at, took, count in list(ticks) if at >= base]
    found = {
        "due": len(wanted),
        "lags": lags,
        "busy": [pair for pair in inside if pair[1]],
        "idle": [took for took, count in inside if not count],
        "cpu": cpu,
        "rss_mb": psutil.Process().memory_info().rss / 2**20,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    if "BASE" in os.environ:
        beat(float(os.environ["BASE"]))
    else:
        seed()
