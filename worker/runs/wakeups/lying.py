"""Which messages lie in the queues, and has Valkey lost its memory? Asked before a message is sent a second time."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from kombu.transport.redis import Channel

from worker.app import KEY_PREFIX

MEMORY = "wakeups:memory"
"""A key that somebody wrote once: when it is gone, so are all messages of that time."""


@dataclass(frozen=True, slots=True)
class Lying:
    """What Valkey holds at the moment."""

    heads: dict[str, UUID | None]
    """The run whose message is next in line, for each queue; None: nothing lies there. One that can't be read is left out."""
    memory: str
    """The same as long as Valkey has forgotten nothing."""


def look(queues: Sequence[str], channel: Channel) -> Lying:
    """One round trip. Raises what the broker raises."""
    with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
        pipe.set(MEMORY, str(uuid4()), nx=True)
        # kombu puts the prefix before the keys of those commands only that it uses itself.
        pipe.get(KEY_PREFIX + MEMORY)
        for queue in queues:
            pipe.lindex(KEY_PREFIX + queue, -1)
        _, memory, *found = pipe.execute()
    heads: dict[str, UUID | None] = {}
    for queue, text in zip(queues, found, strict=True):
        if text is None:
            heads[queue] = None
        elif (run := _run_of(text)) is not None:
            heads[queue] = run
    return Lying(heads, memory.decode() if isinstance(memory, bytes) else str(memory))


def _run_of(text: bytes | str) -> UUID | None:
    """Anybody may have put something there: what isn't a message of ours names no run."""
    try:
        (run,), *_ = json.loads(base64.b64decode(json.loads(text)["body"]))
        return UUID(run)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error):
        return None
