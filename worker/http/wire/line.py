"""How do bytes get to a system and back within the time that there is? One socket, with or without TLS.

Each wait is bounded, and a system that sends a byte now and then keeps every wait short: so a `Deadline` bounds their
sum too, connecting and headers that drip included. Raises httpx's exceptions, which `translate` knows.
"""

import select
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import httpx

from worker.http.wire.message import Origin

CONNECT = 10.0
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long one answer may take in all, and each wait for it."""

    at: float
    wait: float

    @classmethod
    def of(cls, whole: float, wait: float) -> "Deadline":
        return cls(monotonic() + whole, wait)

    def left(self, error: type[httpx.TimeoutException]) -> float:
        left = self.at - monotonic()
        if left <= 0:
            raise error("the time for one answer is used up")
        return min(left, self.wait)


class Line:
    """An open connection."""

    __slots__ = ("_idle", "_socket", "expires", "origin")

    def __init__(self, origin: Origin, opened: socket.socket) -> None:
        self.origin = origin
        self.expires = 0.0
        self._socket = opened
        self._idle = select.poll()
        self._idle.register(opened, select.POLLIN)

    @classmethod
    def open(cls, origin: Origin, tls: Callable[[], ssl.SSLContext], deadline: Deadline) -> "Line":
        """Connect, and shake hands where the scheme asks for it."""
        wait = min(CONNECT, deadline.left(httpx.ConnectTimeout))
        opened: socket.socket | None = None
        try:
            opened = socket.create_connection((origin.host, origin.port), wait)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.secure:
                opened.settimeout(min(CONNECT, deadline.left(httpx.ConnectTimeout)))
                opened = tls().wrap_socket(opened, server_hostname=origin.host)
            return cls(origin, opened)
        except BaseException as exc:
            if opened is not None:
                opened.close()
            if isinstance(exc, TimeoutError):
                raise httpx.ConnectTimeout("no connection in time") from exc
            if isinstance(exc, OSError):
                raise httpx.ConnectError("no connection") from exc
            raise

    @property
    def quiet(self) -> bool:
        """Nothing came while nobody asked. Else it was closed, or holds what would be taken for our answer."""
        if self._idle.poll(0):
            return False
        return not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending())

    def send(self, data: bytes, deadline: Deadline) -> None:
        try:
            self._socket.settimeout(deadline.left(httpx.WriteTimeout))
            self._socket.sendall(data)
        except TimeoutError as exc:
            raise httpx.WriteTimeout("not sent in time") from exc
        except OSError as exc:
            raise httpx.WriteError("cut off while sending") from exc

    def receive(self, deadline: Deadline, most: int = CHUNK) -> bytes:
        """What came, b"" at the end."""
        try:
            self._socket.settimeout(deadline.left(httpx.ReadTimeout))
            return self._socket.recv(most)
        except TimeoutError as exc:
            raise httpx.ReadTimeout("nothing came in time") from exc
        except OSError as exc:
            raise httpx.ReadError("cut off while reading") from exc

    def close(self) -> None:
        self._socket.close()
