"""How is a worker woken by somebody who must not wait for the broker? The message goes on the line; the answer is read later.

Whoever has just committed rings; another thread hears whether the message was taken, and publishes it where it wasn't.
Promises: ringing waits for nobody. One ring at a time is on the line, so it fits there whatever the broker does; until its
answer was heard, or before a line was opened, nobody can ring.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from worker.app import KEY_PREFIX, celery_app
from worker.runs.wakeups.publish import Wakeup, known_template

log = structlog.get_logger()

MOST = 8
"""Messages of one ring: of more, one more trip is the least."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection to the broker, and the pool that it is borrowed from."""

    connection: Any
    pool: Any

    def end(self) -> None:
        self.connection.disconnect()
        self.pool.release(self.connection)


@dataclass(frozen=True, slots=True)
class Ring:
    """Messages on the line."""

    line: _Line
    messages: int


class Bell:
    """A line to the broker. One thread rings; another one opens it, hears and closes."""

    def __init__(self) -> None:
        self._free: SimpleQueue[_Line] = SimpleQueue()
        self._is_open = False

    def open(self) -> None:
        """Have a line from now on, if the broker lets us; where it doesn't, nobody can ring. Waits as publishing does."""
        if self._is_open:
            return
        try:
            with celery_app.producer_pool.acquire(block=True, timeout=2) as producer:
                pool = producer.channel.pool
                line = _Line(pool.get_connection(), pool)
            self._is_open = True  # before anybody may find it dead, and say so
            self._free.put(line)
        except Exception as exc:  # noqa: BLE001 - what is to be sent is published, and so it is heard of
            log.debug("bell_silent", error=type(exc).__name__)

    def ring(self, wakeups: Sequence[Wakeup]) -> Ring | None:
        """Send for these runs and wait for nothing; None: they must be published."""
        commands = [
            ("LPUSH", KEY_PREFIX + template.key, template.message(run_id))
            for run_id, queue in wakeups
            if (template := known_template(queue)) is not None
        ]
        if not 0 < len(commands) == len(wakeups) <= MOST:
            return None
        try:
            line = self._free.get_nowait()
        except Empty:
            return None
        try:
            if not line.connection.is_connected:
                raise ConnectionError  # it would open itself, and wait
            packed = line.connection.pack_commands(commands)
            line.connection.send_packed_command(packed, check_health=False)
        except Exception:  # noqa: BLE001 - the line is dead
            self._end(line)
            return None
        return Ring(line, len(commands))

    def heard(self, ring: Ring) -> bool:
        """Whether the broker has taken them; waits for its word."""
        try:
            for _ in range(ring.messages):
                ring.line.connection.read_response()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the row is committed and they are published
            log.debug("bell_silent", error=type(exc).__name__)
            self._end(ring.line)
            return False
        self._free.put(ring.line)
        return True

    def hang_up(self, ring: Ring) -> None:
        """Nobody will hear this one."""
        self._end(ring.line)

    def close(self) -> None:
        """End the line, if nobody waits for its answer."""
        with suppress(Empty):
            self._end(self._free.get_nowait())

    def _end(self, line: _Line) -> None:
        self._is_open = False
        with suppress(Exception):  # whoever rings has webhooks to answer
            line.end()
