"""What does a wake-up call look like in Valkey? As Celery and kombu write it, but for the ids, which are filled in here.

kombu takes an eighth of a millisecond to make a message of which all but three ids is the same every time. So it makes
one for each queue, and the others are copies with ids of their own. Workers and Flower can't tell them from a message
that `send_task` has sent; a test holds the two against each other.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from kombu import serialization
from kombu.transport.redis import Channel

from worker.app import RUN_TASK, celery_app

_TASK = "11111111-1111-4111-8111-111111111111"
_RUN = "22222222-2222-4222-8222-222222222222"
_REQUEST = "33333333-3333-4333-8333-333333333333"
_PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Template:
    """A message of one queue, without its ids."""

    key: str
    """The list in Valkey that the queue is."""
    text: str
    body: str
    """The body as it stands in `text`, encoded."""
    plain: str
    """The same before it was encoded."""

    def message(self, run_id: UUID, request_id: str = "") -> str:
        """A message for this run. Sent twice, it is two messages: each has an id of its own.

        `request_id` is that of the request that it was sent in, for whoever looks at tasks; the run has its own.
        """
        run = str(run_id)
        body = b64encode(self.plain.replace(_RUN, run).encode()).decode()
        text = self.text.replace(self.body, body).replace(_RUN, run).replace(_TASK, str(uuid4()))
        return text.replace(_REQUEST, request_id)


class _Caught:
    """Stands where kombu gathers the commands of a batch, and keeps the one that it would send."""

    key: str
    text: str

    def add(self, _command: str, key: str, text: str) -> None:
        self.key, self.text = key, text


def template(queue: str, channel: Channel) -> Template:
    """Let Celery and kombu make a message for this queue. Nothing is sent."""
    made = celery_app.amqp.as_task_v2(_TASK, RUN_TASK, args=(_RUN,), ignore_result=None)
    content_type, encoding, plain = serialization.dumps(made.body, serializer="json")
    properties: dict[str, Any] = {**made.properties, "delivery_mode": _PERSISTENT}
    message = channel.prepare_message(
        plain.encode(encoding),
        content_type=content_type,
        content_encoding=encoding,
        headers={**made.headers, "request_id": _REQUEST},
        properties=properties,
    )
    caught = _Caught()
    channel._inplace_augment_message(message, "", queue)  # noqa: SLF001 - what basic_publish begins with
    message["properties"]["delivery_tag"] = _TASK
    channel._put(queue, message, _publish_batch=caught)  # noqa: SLF001 - and what it ends with
    return Template(caught.key, caught.text, message["body"], plain)
