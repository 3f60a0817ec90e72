"""When has one answer taken long enough, however it comes?

httpx bounds each wait, and a system that sends a byte now and then keeps every wait short. So a `Deadline` bounds their
sum too: connecting, sending and reading, headers that drip included. Connections are opened here, so it is here that
none leads to where nothing of ours is: see `destination`.
"""

import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from threading import local
from time import monotonic
from types import TracebackType
from typing import Any, Protocol

import httpcore

from worker.http.wire.destination import Guard


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long one answer may take in all, and each wait for it."""

    at: float
    wait: float

    @classmethod
    def of(cls, whole: float, wait: float) -> "Deadline":
        return cls(monotonic() + whole, wait)


class Told(Protocol):
    """Who wants to know that a connection is opened, and that a request is about to leave."""

    def connecting(self) -> None: ...
    def before_sending(self) -> None: ...


class _Now(local):
    """Per thread: a request is sent and read by one."""

    deadline: Deadline | None = None
    told: Told | None = None
    """Until the first byte leaves."""


_now = _Now()


class within:  # noqa: N801 - used as a statement
    """All that this thread sends and receives inside must be over by then; `told` hears of its moments."""

    __slots__ = ("_deadline", "_told")

    def __init__(self, deadline: Deadline, told: Told | None = None) -> None:
        self._deadline = deadline
        self._told = told

    def __enter__(self) -> None:
        _now.deadline, _now.told = self._deadline, self._told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _now.deadline = _now.told = None


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    if _now.deadline is None:
        return timeout
    left = _now.deadline.at - monotonic()
    if left <= 0:
        raise error("the time for one answer is used up")
    return left if timeout is None else min(timeout, left)


class BoundedStream(httpcore.NetworkStream):
    """A connection's stream, every wait on which is cut to what is left."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return type(self)(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class DeadlineStream(BoundedStream):
    """The same, to a system: whoever wants to know is told before the first byte leaves."""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        told, _now.told = _now.told, None
        if told is not None:
            told.before_sending()
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))


class DeadlineBackend(httpcore.SyncBackend):
    """Opens connections, to where they may lead, whose streams keep the deadline."""

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard or Guard()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        del local_address, socket_options
        if _now.told is not None:
            _now.told.connecting()
        return DeadlineStream(self._opened(host, port, timeout))

    def _opened(self, host: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        """To the first of the checked addresses that takes it. The host's name stays what certificates are checked against."""
        try:
            addresses = self._guard.addresses(host, port)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"{host} has no address") from exc
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return super().connect_tcp(address, port, _left(timeout, httpcore.ConnectTimeout))
        return super().connect_tcp(addresses[-1], port, _left(timeout, httpcore.ConnectTimeout))
