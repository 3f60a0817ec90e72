"""Which connection does a request go over? At most so many in this process, kept open between requests.

httpcore speaks on them; its own pool looks at every connection twice for each request, under one lock, which at a hundred
threads costs twenty times the request. Promises: taking one here costs the same however many hosts and connections there
are; one that the system closed, or on which something came unasked, is not used; where all are in use a caller waits a
while for one, and an idle connection to somebody else makes room.
"""

import ssl
from collections.abc import Iterable, Iterator
from threading import Condition
from time import monotonic
from typing import cast

import httpcore

from worker.http.wire.deadline import DeadlineBackend

SWEEP = 5.0
_OPENERS = {b"http": 80, b"https": 443}
Key = tuple[bytes, bytes, int]


class Pool:
    """The open connections of one process, in use and idle. Shared by threads."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        most_open: int,
        most_idle: int,
        kept_alive: float,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._tls = tls
        self._most_open = most_open
        self._most_idle = most_idle
        self._kept_alive = kept_alive
        self._backend = backend or DeadlineBackend()
        self._changed = Condition()
        self._idle: dict[Key, list[httpcore.HTTPConnection]] = {}
        self._idle_count = 0
        self._open = 0
        self._next_sweep = monotonic() + SWEEP
        self._closed = False

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """The answer, whose connection is kept once it was read and closed. Raises httpcore's exceptions."""
        url = request.url
        if url.scheme not in _OPENERS:
            raise httpcore.UnsupportedProtocol("requests go by http or https")
        key = (url.scheme, url.host, url.port or _OPENERS[url.scheme])
        patience = request.extensions.get("timeout", {}).get("pool")
        connection = self._take(key, patience) or self._new(key)
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._lose(connection)
            raise
        stream = _Body(cast("Iterable[bytes]", response.stream), connection, key, self)
        return httpcore.Response(
            response.status, headers=response.headers, content=stream, extensions=response.extensions
        )

    def give_back(self, key: Key, connection: httpcore.HTTPConnection) -> None:
        """An answer was read, or won't be."""
        if not connection.is_idle():  # it was not read to its end, or the system ends the connection with it
            self._lose(connection)
            return
        late: list[httpcore.HTTPConnection] = []
        with self._changed:
            if monotonic() >= self._next_sweep:
                late = self._expired()
            if self._closed or self._idle_count >= self._most_idle:
                late.append(connection)
            else:
                self._idle.setdefault(key, []).append(connection)
                self._idle_count += 1
            self._open -= len(late)
            self._changed.notify()
        for each in late:
            each.close()

    def sweep(self) -> None:
        """Close the idle ones that have been so for too long."""
        with self._changed:
            late = self._expired()
            self._open -= len(late)
            self._changed.notify(len(late))
        for each in late:
            each.close()

    def close(self) -> None:
        """Close the idle ones now, and those in use when they come back."""
        with self._changed:
            self._closed = True
            kept = [connection for group in self._idle.values() for connection in group]
            self._idle.clear()
            self._open -= len(kept)
            self._idle_count = 0
        for connection in kept:
            connection.close()

    def _take(self, key: Key, patience: float | None) -> httpcore.HTTPConnection | None:
        """The connection to there that was used last, or None: there is room for a new one."""
        while (kept := self._kept_or_room(key, patience)) is not None:
            if not kept.has_expired():
                return kept
            self._lose(kept)
        return None

    def _new(self, key: Key) -> httpcore.HTTPConnection:
        return httpcore.HTTPConnection(
            httpcore.Origin(*key),
            ssl_context=self._tls,
            keepalive_expiry=self._kept_alive,
            network_backend=self._backend,
        )

    def _kept_or_room(self, key: Key, patience: float | None) -> httpcore.HTTPConnection | None:
        until = None if patience is None else monotonic() + patience
        with self._changed:
            while True:
                if key in self._idle:
                    return self._pop(key, -1)
                if self._open < self._most_open:
                    self._open += 1
                    return None
                if self._idle_count:
                    stranger = self._pop(next(iter(self._idle)), 0)
                    break
                left = None if until is None else until - monotonic()
                if left is not None and left <= 0:
                    raise httpcore.PoolTimeout("all connections are in use")
                self._changed.wait(left)
        stranger.close()  # its place is ours now
        return None

    def _pop(self, key: Key, place: int) -> httpcore.HTTPConnection:
        kept = self._idle[key]
        connection = kept.pop(place)
        if not kept:
            del self._idle[key]
        self._idle_count -= 1
        return connection

    def _lose(self, connection: httpcore.HTTPConnection) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify()
        connection.close()

    def _expired(self) -> list[httpcore.HTTPConnection]:
        self._next_sweep = monotonic() + SWEEP
        gone: list[httpcore.HTTPConnection] = []
        for key, kept in list(self._idle.items()):
            old = [connection for connection in kept if connection.has_expired()]
            if old:
                gone += old
                self._idle[key] = [connection for connection in kept if connection not in old]
                if not self._idle[key]:
                    del self._idle[key]
        self._idle_count -= len(gone)
        return gone


class _Body:
    """The body of an answer, whose end frees the connection."""

    __slots__ = ("_connection", "_key", "_over", "_pool", "_stream")

    def __init__(
        self, stream: Iterable[bytes], connection: httpcore.HTTPConnection, key: Key, pool: Pool
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._key = key
        self._pool = pool
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._over:
            return
        self._over = True
        try:
            self._stream.close()  # type: ignore[attr-defined]
        finally:
            self._pool.give_back(self._key, self._connection)
