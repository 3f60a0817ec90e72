"""How does a question get to Valkey and back at the least cost? One write and one read on a connection that is kept.

redis-py opens the connections (address, TLS, password, database); then the bytes go straight to the socket, since packing
and parsing would cost more than all the rest. Each new connection first asks since when the server remembers: one that was
started again is noticed before anything is asked of it.

A notice is sent without waiting: its answer is read before that of the next question on the same connection. Is the
connection lost first, the notice is handed back as `lost` to be sent again; it must be harmless twice.
Shared by threads; never carried across a fork.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as Gone
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from worker.errors import InvalidInput

UNREACHABLE = (RedisError, OSError)
SOCKET_TIMEOUT = 2.0
MOST_UNREAD = 32
"""So many notices may wait for their answers on one connection."""

Notice = tuple[str, ...]


@dataclass(slots=True)
class Line:
    """One connection, and the socket that redis-py opened for it. `epoch` is since when its server remembers."""

    connection: Any
    socket: Any
    epoch: bytes
    unread: deque[Notice] = field(default_factory=deque)
    fresh: bool = True


class Wire:
    """The connections of one process. `greet` asks a new connection for its epoch."""

    def __init__(self, redis: Redis, greet: Callable[[Any], bytes]) -> None:
        self._pool = redis.connection_pool
        self._greet = greet
        self._idle: deque[Line] = deque()
        self._owner = os.getpid()
        self.lost: deque[Notice] = deque(maxlen=10_000)

    def ask(self, question: Callable[[bytes], bytes]) -> bytes:
        """The answer, one bulk string (none is empty), to what `question` makes for the connection's epoch.

        A kept connection that turns out to be closed is replaced once. Raises what redis-py raises.
        """
        line = self._line()
        try:
            return self._asked(line, question(line.epoch))
        except (Gone, ConnectionError):
            if line.fresh:
                raise
        line = self._opened()
        return self._asked(line, question(line.epoch))

    def tell(self, command: bytes, notice: Notice) -> None:
        """Send a command whose answer nobody waits for."""
        line = self._line()
        try:
            if len(line.unread) >= MOST_UNREAD:
                self._read(line, answers=0)
            line.socket.sendall(command)
        except BaseException as error:
            self.lost.append(notice)
            self._drop(line, error)
            # A kept connection that was closed says nothing about the server: whoever asks next finds out.
            if line.fresh or not isinstance(error, Gone | ConnectionError):
                raise
            return
        line.unread.append(notice)
        self._keep(line)

    def close(self) -> None:
        self._forget_idle()

    def _asked(self, line: Line, command: bytes) -> bytes:
        try:
            line.socket.sendall(command)
            answer = self._read(line, answers=1)
        except NoScriptError:
            self._keep(line)
            raise
        except BaseException as error:
            self._drop(line, error)
            raise
        self._keep(line)
        return answer

    def _read(self, line: Line, *, answers: int) -> bytes:
        """The answers to notices, which say nothing, and then that to the question."""
        data, receive, unread = b"", line.socket.recv, line.unread
        while unread or answers:
            end = data.find(b"\r\n")
            if end >= 0 and unread:
                if data.startswith(b"-READONLY"):  # not heard: it goes to the server that took over
                    raise _refused(data[1:end])
                data = data[end + 2 :]
                unread.popleft()
                continue
            if end >= 0:
                if data[:1] != b"$":
                    raise _refused(data[1:end])
                size = int(data[1:end])
                if size < 0:
                    return b""
                stop = end + 2 + size
                if len(data) >= stop + 2:
                    return data[end + 2 : stop]
            more = receive(65536)
            if not more:
                raise Gone("The broker closed the connection.")
            data += more
        return b""

    def _line(self) -> Line:
        if os.getpid() != self._owner:
            self._idle, self._owner = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._opened()

    def _opened(self) -> Line:
        # Not by the pool's own way, which counts whatever was ever made, and refuses after a hundred.
        connection: Any = self._pool.connection_class(**self._pool.connection_kwargs)
        connection.connect()
        try:
            epoch = self._greet(connection)
        except BaseException:
            connection.disconnect()
            raise
        return Line(connection, connection._sock, epoch)  # noqa: SLF001 - redis-py offers no other way to its socket

    def _keep(self, line: Line) -> None:
        line.fresh = False
        self._idle.append(line)

    def _drop(self, line: Line, error: BaseException | None = None) -> None:
        """Close it. An error of the server or of the network is one that the others would meet, too: it was stopped, it is
        a replica now, or a firewall between us forgot them.
        """
        self.lost.extend(line.unread)
        line.unread.clear()
        line.connection.disconnect()
        if isinstance(error, UNREACHABLE):
            self._forget_idle()

    def _forget_idle(self) -> None:
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return
            self._drop(line)


def carried_out(script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """What a script says, on a connection of redis-py's pool. One to a server that is a replica now isn't kept."""
    try:
        return script(keys=keys, args=args)
    except ReadOnlyError:
        client: Any = script.registered_client
        client.connection_pool.disconnect(inuse_connections=False)
        raise


def packed(parts: Sequence[bytes]) -> bytes:
    """Arguments as the protocol wants them."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def connect(redis_url: str) -> Redis:
    """A client that fails at once: its own retries would turn a time-out of 2 s into 15."""
    try:
        return Redis.from_url(
            redis_url,
            protocol=2,
            socket_timeout=SOCKET_TIMEOUT,
            socket_connect_timeout=SOCKET_TIMEOUT,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            client_name="headrace-budget",
        )
    except (ValueError, TypeError):
        # The parser's words may hold a piece of the password.
        raise InvalidInput(
            "bad_broker_url",
            "The URL of the broker can't be read.",
            place="HEADRACE_BROKER_URL",
            hint="Write redis://:password@host:6379/0, with special characters of the password percent-encoded.",
        ) from None


def _refused(words: bytes) -> RedisError:
    text = words.decode(errors="replace")
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
