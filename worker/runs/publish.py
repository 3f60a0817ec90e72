"""How is a worker told that a run waits? By a message that holds the run's id and nothing else.

Promises nothing, on purpose: it never raises and never blocks for long, and a message that is lost is sent again by
beat. Emits: wakeup_failed, queues_unknown.
"""

from collections.abc import Iterable
from uuid import UUID

import structlog

from worker.app import RUN_TASK, celery_app

log = structlog.get_logger()

Wakeup = tuple[UUID, str]
"""A run and the queue that carries it."""

BATCH = 500


def publish(wakeups: Iterable[Wakeup]) -> int:
    """Wake workers for these runs, after their commit; how many messages went out."""
    waiting = [wakeup for wakeup in wakeups if _known(wakeup)]
    if not waiting:
        return 0
    try:
        with celery_app.producer_pool.acquire(block=True, timeout=2) as producer:
            if len(waiting) == 1:
                _send(waiting[0], producer)
            else:
                with producer.batch(max_size=BATCH):
                    for wakeup in waiting:
                        _send(wakeup, producer)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the row is committed and beat sends again
        log.warning("wakeup_failed", runs=len(waiting), error=type(exc).__name__)
        return 0
    return len(waiting)


def _known(wakeup: Wakeup) -> bool:
    """A system may be gone from this process's folders while its runs are still here: they wait, and stop no other."""
    run_id, queue = wakeup
    if queue in celery_app.amqp.queues:
        return True
    log.warning("wakeup_failed", run_id=str(run_id), queue=queue, error="unknown queue")
    return False


def empty_queues(queues: Iterable[str]) -> list[str]:
    """Those of the queues that hold no message at the moment; none of them where the broker can't say."""
    asked = list(queues)
    if not asked:
        return []
    try:
        with celery_app.producer_pool.acquire(block=True, timeout=2) as producer:
            channel = producer.channel
            return [name for name in asked if channel.queue_declare(queue=name).message_count == 0]
    except Exception as exc:  # noqa: BLE001 - a broker that can't say is asked again at the next tick
        log.warning("queues_unknown", error=type(exc).__name__)
        return []


def _send(wakeup: Wakeup, producer: object) -> None:
    run_id, queue = wakeup
    celery_app.send_task(RUN_TASK, args=(str(run_id),), queue=queue, producer=producer, retry=False)
