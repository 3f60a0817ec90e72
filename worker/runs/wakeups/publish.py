"""How is a worker told that a run waits? By a message that holds the run's id and nothing else.

Promises nothing, on purpose: it never raises and never blocks for long, and a message that is lost is sent again by
beat. Emits: wakeup_failed, queues_unknown.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import structlog
from kombu.transport.redis import Channel

from worker.app import celery_app
from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import HeadraceError
from worker.runs.wakeups.lying import Lying, look
from worker.runs.wakeups.message import Template, template

log = structlog.get_logger()

Wakeup = tuple[UUID, str]
"""A run and the queue that carries it."""

_HARMLESS = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}\Z")

BATCH = 500
"""Messages of one command: Valkey does nothing else meanwhile."""


def publish(wakeups: Iterable[Wakeup]) -> int:
    """Wake workers for these runs, after their commit; how many messages went out."""
    waiting = [wakeup for wakeup in wakeups if _known(wakeup)]
    if not waiting:
        return 0
    try:
        with celery_app.producer_pool.acquire(block=True, timeout=2) as producer:
            _send(waiting, producer.channel)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the row is committed and beat sends again
        log.warning("wakeup_failed", runs=len(waiting), error=type(exc).__name__)
        return 0
    return len(waiting)


def send_for(database: Database, wakeups: Sequence[Wakeup]) -> int:
    """The same for runs that are nobody's at the moment, so that beat doesn't send for them a second time.

    Should this process die in between, beat finds that the message is missing.
    """
    if not wakeups:
        return 0
    try:
        rows = database.all(sql.note_published, {"runs": [run_id for run_id, _ in wakeups]})
    except HeadraceError as exc:  # the runs are queued, and not marked: beat sends
        log.warning("wakeup_failed", runs=len(wakeups), error=exc.code)
        return 0
    return publish((row["id"], row["queue"]) for row in rows)


def _known(wakeup: Wakeup) -> bool:
    """A system may be gone from this process's folders while its runs are still here: they wait, and stop no other."""
    run_id, queue = wakeup
    if queue in celery_app.amqp.queues:
        return True
    log.warning("wakeup_failed", run_id=str(run_id), queue=queue, error="unknown queue")
    return False


def _send(wakeups: Sequence[Wakeup], channel: Channel) -> None:
    """All of them in one round trip: a worker takes from the right what is pushed here from the left, the first first."""
    by_queue: defaultdict[str, list[UUID]] = defaultdict(list)
    for run_id, queue in wakeups:
        by_queue[queue].append(run_id)
    asked = _request_id()
    with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
        for queue, runs in by_queue.items():
            made = _template(queue, channel)
            for start in range(0, len(runs), BATCH):
                pipe.lpush(made.key, *(made.message(run, asked) for run in runs[start : start + BATCH]))
        pipe.execute()


def _request_id() -> str:
    """Of the request that is being served here, as log lines have it. What isn't as harmless as the API's goes nowhere."""
    asked = structlog.contextvars.get_contextvars().get("request_id")
    return asked if isinstance(asked, str) and _HARMLESS.match(asked) else ""


_templates: dict[str, Template] = {}


def known_template(queue: str) -> Template | None:
    """What a message of this queue looks like, once one was published here."""
    return _templates.get(queue)


def _template(queue: str, channel: Channel) -> Template:
    if (made := _templates.get(queue)) is None:
        made = _templates[queue] = template(queue, channel)
    return made


def lying(queues: Sequence[str]) -> Lying | None:
    """Which messages lie in these queues; None where the broker can't say."""
    try:
        with celery_app.producer_pool.acquire(block=True, timeout=2) as producer:
            return look(queues, producer.channel)
    except Exception as exc:  # noqa: BLE001 - a broker that can't say is asked again
        log.warning("queues_unknown", error=type(exc).__name__)
        return None
