"""A worker is woken by somebody who waits for nobody; where the broker doesn't hear, what was to be sent is published."""

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from worker.app import celery_app, configure
from worker.config import load_settings
from worker.runs.wakeups.publish import publish
from worker.runs.wakeups.ringing import Bell

pytestmark = pytest.mark.integration

QUEUE = "sync.demo"


@pytest.fixture
def bell(broker_url: str) -> Iterator[Bell]:
    """After a message was published, as the first webhook's is."""
    configure(load_settings(broker_url=SecretStr(broker_url)), [QUEUE], publisher=True)
    made = Bell()
    assert made.ring([wakeup()]) is None, "nobody has opened it"
    assert publish([wakeup()]) == 1
    made.open()
    yield made
    made.close()


def wakeup() -> tuple[UUID, str]:
    return uuid4(), QUEUE


def messages() -> int:
    with celery_app.connection_for_read() as connection:
        return int(connection.default_channel._size(QUEUE))


def test_what_is_rung_for_lies_in_the_queue(bell: Bell) -> None:
    for count in (1, 3):
        ring = bell.ring([wakeup() for _ in range(count)])
        assert ring is not None
        assert bell.ring([wakeup()]) is None, "one at a time is on the line"
        assert bell.heard(ring)
    assert messages() == 1 + 1 + 3
    assert bell.ring([(uuid4(), "sync.unheard-of")]) is None


def test_a_line_that_the_broker_cut_is_noticed_and_opened_anew(bell: Bell) -> None:
    cut(bell)
    ring = bell.ring([wakeup()])
    assert ring is None or not bell.heard(ring)
    assert bell.ring([wakeup()]) is None, "nobody is rung for until it is open again"
    bell.open()
    ring = bell.ring([wakeup()])
    assert ring is not None
    assert bell.heard(ring)


def cut(bell: Bell) -> None:
    line = bell._free.get_nowait()
    line.connection.send_command("CLIENT", "ID")
    number = line.connection.read_response()
    bell._free.put(line)
    with celery_app.connection_for_write() as connection:
        assert connection.default_channel.client.execute_command("CLIENT", "KILL", "ID", number) == 1


def test_a_line_that_is_found_dead_while_it_is_opened_is_opened_again(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell.close()

    class Dead(SimpleQueue[Any]):
        """Where another thread takes what is put at once, and finds it dead."""

        def put(self, item: Any, *_: Any, **__: Any) -> None:
            bell._end(item)

    with monkeypatch.context() as patch:
        patch.setattr(bell, "_free", Dead())
        bell.open()
    bell.open()
    assert bell.ring([wakeup()]) is not None
