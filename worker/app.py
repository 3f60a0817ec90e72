"""The Celery application: broker, queues, routes, and what happens when a worker starts and stops.

Celery carries wake-up calls and nothing else: no result, no retry, no countdown, no message that matters. What waits,
for how long and for the how-many-th time stands on a row in Postgres.
"""

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from worker.config import Settings

RUN_TASK = "headrace.run"
DELIVER_TASK = "headrace.deliver"
CONTROL_QUEUE = "ctl"
KEY_PREFIX = "headrace:"

celery_app = Celery("headrace", set_as_current=False)

_exchange = Exchange("headrace", type="direct")


def configure(settings: Settings, queues: Sequence[str], *, publisher: bool = False) -> Celery:
    """Point the application at its broker and declare `queues`. Publishers fail fast, workers are patient.

    `queues` are all that may be published to; which of them a worker serves is said when it starts.
    """
    celery_app.conf.update(
        broker_url=settings.require_broker_url(),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=10,
        broker_pool_acquire_timeout=2,
        broker_transport_options=_transport_options(publisher=publisher),
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        # A lapsed lease brings back the run of a dead worker. A late ack would only deliver running ones twice.
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_eta_task_limit=10,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=settings.task_events,
        task_send_sent_event=False,
        worker_enable_remote_control=True,
        # A typo in a queue's name is an error at once, not a queue that nobody serves.
        task_create_missing_queues=False,
        task_default_queue=CONTROL_QUEUE,
        task_default_exchange=_exchange.name,
        task_queues=[Queue(name, _exchange, routing_key=name) for name in [*queues, CONTROL_QUEUE]],
        timezone="UTC",
    )
    # Called anew (by a test that moves to other servers), it forgets connections and queues of the old ones.
    celery_app._after_fork()  # noqa: SLF001
    celery_app.__dict__.pop("amqp", None)
    return celery_app


def declare(queues: Sequence[str]) -> list[str]:
    """Let these be published to and served from now on, too; those that weren't before."""
    new = [name for name in queues if name not in celery_app.amqp.queues]
    for name in new:
        celery_app.amqp.queues.add(Queue(name, _exchange, routing_key=name))
    return new


def _transport_options(*, publisher: bool) -> dict[str, Any]:
    return {
        "global_keyprefix": KEY_PREFIX,
        # A message that is taken is gone: two round trips less for each, and what vanishes with a worker is missed by beat.
        "ack_emulation": False,
        # Lanes are queues of their own: four priorities each would only make every BRPOP four times as long.
        "priority_steps": [0],
        "queue_order_strategy": "round_robin",
        # A frozen broker must not freeze an API call or a beat; a worker may wait for it a little.
        "socket_timeout": 2 if publisher else 15,
        "socket_connect_timeout": 2 if publisher else 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "retry_on_timeout": False,
        "max_connections": 20,
    }
