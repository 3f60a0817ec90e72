"""How is a process of ours stopped at a moment of one's choice, without touching its code?

By what stops it in life, too: somebody else's lock in Postgres, or a network that stalls. A worker that waits for a lock
of the test's has done all that comes before it, and nothing that comes after.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from servers.installation.stack import Stack
from servers.waiting import wait_until

from scheduler.embedded.ports import LOOPBACK


@contextmanager
def held(
    stack: Stack, statement: "str | sql.Composable", /, **params: Any
) -> Iterator[psycopg.Connection[Any]]:
    """Hold what the statement locks until the end of the block, or until the connection is rolled back."""
    with stack.connect() as connection:
        connection.execute(statement, params or None)  # type: ignore[arg-type]
        try:
            yield connection
        finally:
            connection.rollback()


def partition_lock(bucket: int) -> sql.Composable:
    """Readers go on, writers of the partition wait."""
    return sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(f"records_{bucket:02d}"))


def wait_until_blocked(stack: Stack, statement: str, timeout: float = 20.0) -> None:
    """Wait until a worker waits for a lock in a statement that holds these words."""
    wait_until(
        lambda: stack.all(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND application_name LIKE 'headrace worker%%' AND strpos(query, %(statement)s) > 0",
            statement=statement,
        ),
        timeout,
        what=f"a worker that waits in {statement!r}",
    )


class StallingNetwork:
    """A way to Postgres that, once armed, stops carrying in the middle of a COPY, and goes on when told to."""

    def __init__(self, url: str) -> None:
        told = conninfo_to_dict(url)
        self._target = (LOOPBACK, int(str(told["port"])))
        self._listener = socket.create_server((LOOPBACK, 0))
        port = self._listener.getsockname()[1]
        self.url = url.replace(f":{told['port']}/", f":{port}/")
        self._armed: tuple[bytes, int] | None = None
        self._free = threading.Event()
        self._free.set()
        self.stalled = threading.Event()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, statement: str, *, after: int = 0) -> None:
        """Stop in the next COPY whose statement begins so, once that many bytes of its data were carried."""
        self._free.clear()
        self._armed = (statement.encode(), after)

    def go_on(self) -> None:
        self._free.set()

    def close(self) -> None:
        self.go_on()
        for end in (self._listener, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [client, server]
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool) -> None:
        left: int | None = None
        with suppress(OSError):
            while data := source.recv(4096):
                if left is not None:
                    left -= len(data)
                if outward and left is not None and left <= 0:
                    # The statement is through, this is its data: half of it arrives, the rest must wait.
                    self._armed = left = None
                    target.sendall(data[: len(data) // 2])
                    self.stalled.set()
                    self._free.wait()
                    data = data[len(data) // 2 :]
                target.sendall(data)
                if (armed := self._armed) is not None and outward and armed[0] in data:
                    left = armed[1]
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
