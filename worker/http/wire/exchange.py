"""How is a request exchanged for its answer over a connection of this process?

Promises: a connection goes back only after a whole answer that lets it stay; after anything else it is closed. What
must happen at the last moment before a request leaves happens once its connection stands.
"""

import ssl
from threading import Lock
from typing import Protocol

import httpx

from worker.http.wire.careful import Careful
from worker.http.wire.line import Deadline, Line
from worker.http.wire.message import Answer, Outgoing
from worker.http.wire.plain import plain_head, rest_of
from worker.http.wire.pool import Pool


class Moments(Protocol):
    """Who wants to know how far a request has come."""

    def connecting(self) -> None: ...
    def before_sending(self) -> None:
        """What it raises ends the exchange, and nothing was sent."""
        ...

    def answered(self) -> None:
        """The head of the answer is here."""
        ...

    def comes(self, size: int) -> None:
        """The body has so many bytes, or has them so far. What it raises ends the exchange."""
        ...


class Wire(Protocol):
    """A way to a system."""

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        """The answer, its body at most `most` bytes long; else `TooLarge`. Raises httpx's exceptions."""
        ...


class DirectWire:
    """Straight to the system: no proxy, no redirect, no cookie."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = pool or Pool()
        self._tls = _Tls()

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        data = outgoing.written()
        line = self._line(outgoing, moments, deadline)
        try:
            moments.before_sending()
        except BaseException:
            self.pool.give_back(line)
            raise
        try:
            cut = _sent(line, data, deadline)
            stays, answer = _answer(line, outgoing, moments, deadline, most)
        except BaseException:
            self.pool.lose(line)
            raise
        if stays and not cut:
            self.pool.give_back(line)
        else:
            self.pool.lose(line)
        return answer

    def close(self) -> None:
        self.pool.close()

    def _line(self, outgoing: Outgoing, moments: Moments, deadline: Deadline) -> Line:
        line = self.pool.take(outgoing.origin, deadline.left(httpx.PoolTimeout))
        if line is not None:
            return line
        moments.connecting()
        try:
            return Line.open(outgoing.origin, self._tls.context, deadline)
        except BaseException:
            self.pool.lose(None)
            raise


def _answer(
    line: Line, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int
) -> tuple[bool, Answer]:
    """The answer, and whether it lets the connection stay."""
    came = line.receive(deadline)
    head = plain_head(came, outgoing.method)
    if head is not None:
        moments.answered()
        if head.length <= most:
            moments.comes(head.length)
        body = rest_of(head, line, deadline, most)
        return head.stays, Answer(head.status, head.headers, body)
    careful = Careful(outgoing, came, line, deadline)
    status, headers = careful.head()
    moments.answered()
    answer = careful.answer(status, headers, most, moments.comes)
    return careful.stays, answer


def _sent(line: Line, data: bytes, deadline: Deadline) -> bool:
    """Whether the system stopped listening: it may have said why before it did."""
    try:
        line.send(data, deadline)
    except httpx.WriteError:
        return True
    return False


class _Tls:
    """Certificates are checked against the operating system's store and certifi's together; read at the first use."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = httpx.create_ssl_context(trust_env=False)
                self._context.load_default_certs()
                self._context.set_alpn_protocols(["http/1.1"])
            return self._context
