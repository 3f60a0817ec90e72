"""Who sends so many webhooks a second, and how long did each wait for its answer?

An open loop: each is sent when its time has come, whether those before are answered or not, and its wait is counted from
that time, so that a server that stands still for a second is seen to have kept a thousand waiting. A few dozen connections
are kept, as large systems do.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import quantiles

CONNECTIONS = 64
PATIENCE = 20.0
"""Seconds after the last was sent."""

Make = Callable[[int], tuple[str, bytes]]
"""Of a number: the webhook's id, and the request's bytes."""


@dataclass
class Storm:
    """What became of them."""

    sent: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    """Of those that were answered with 2xx."""
    taken: set[str] = field(default_factory=set)
    """Their ids."""
    others: int = 0
    """Answered with anything else, or not at all."""

    def p(self, percent: int) -> float:
        """Milliseconds; not a number where nothing was answered."""
        return quantiles(self.waits, n=100)[percent - 1] * 1000 if len(self.waits) > 1 else float("nan")


def storm(port: int, make: Make, *, rate: int, seconds: float) -> Storm:
    """Send so many a second to that port of this machine."""
    return asyncio.run(_Sender(port, make).send(rate, seconds))


@dataclass(slots=True)
class _Sent:
    name: str
    request: bytes
    due: float


class _Sender:
    def __init__(self, port: int, make: Make) -> None:
        self._port = port
        self._make = make
        self._idle: deque[_Line] = deque()
        self._waiting: deque[_Sent] = deque()
        self._total = 0
        self._all = asyncio.Event()
        self.found = Storm()

    async def send(self, rate: int, seconds: float) -> Storm:
        loop = asyncio.get_running_loop()
        lines = []
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: _Line(self), "127.0.0.1", self._port)
            lines.append(line)
            self._idle.append(line)
        began, total = time.perf_counter(), int(rate * seconds)
        self._total = total
        while self.found.sent < total:
            now = time.perf_counter()
            while self.found.sent < total and began + self.found.sent / rate <= now:
                name, request = self._make(self.found.sent)
                self._waiting.append(_Sent(name, request, began + self.found.sent / rate))
                self.found.sent += 1
            self._go()
            await asyncio.sleep(0.001)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all.wait(), PATIENCE)
        self.found.seconds = time.perf_counter() - began
        self.found.others = total - len(self.found.waits)
        for line in lines:
            line.close()
        return self.found

    def free(self, line: "_Line") -> None:
        self._idle.append(line)
        if len(self.found.waits) + self.found.others == self._total:
            self._all.set()
        self._go()

    def _go(self) -> None:
        while self._waiting and self._idle:
            self._idle.popleft().ask(self._waiting.popleft())


class _Line(asyncio.Protocol):
    """A kept connection, with one request at a time."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._sent: _Sent | None = None
        self._came = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def ask(self, sent: _Sent) -> None:
        assert self._transport is not None
        self._sent, self._came = sent, b""
        self._transport.write(sent.request)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        sent, self._sent, found = self._sent, None, self._sender.found
        if sent is not None and head[9:10] == b"2":
            found.waits.append(time.perf_counter() - sent.due)
            found.taken.add(sent.name)
        else:
            found.others += 1
        self._sender.free(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _length(head: bytes) -> int:
    _, named, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if named else 0
