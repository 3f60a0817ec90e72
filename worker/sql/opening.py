"""How is a connection to a database opened? So that it only reads, goes where it may, and can be given up.

Postgres is told the addresses that were checked, and the host's name for its certificate. A SQLite file is opened to be read,
and must be there.
"""

import os
import socket
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from worker.errors import NeedsOperator, Transient
from worker.http.network.settings import Network
from worker.http.network.tls import authorities, in_memory
from worker.sql.address import Target, check_driver

CONNECT = 10
"""Seconds for a connection to come about."""
CHECKED = ("verify-full", "verify-ca")
"""Where TLS is checked against authorities: those of the connection's network, or those that HTTP trusts."""
OPCODES = 10_000
"""SQLite looks at the clock after so many steps."""


@dataclass(slots=True)
class Opened:
    """One connection, used by one thread at a time."""

    connection: sa.Connection
    target: Target
    deadline: float = float("inf")
    """When the exchange under way has to be over, by the monotonic clock."""

    @property
    def driver(self) -> Any:
        """The driver's own connection."""
        return self.connection.connection.dbapi_connection

    def give_up(self) -> None:
        """Called by another thread: whoever waits for the database waits no longer."""
        driver = self.driver
        if self.target.is_postgres:
            with closing(socket.socket(fileno=os.dup(driver.fileno()))) as line:
                line.shutdown(socket.SHUT_RDWR)
        elif self.target.is_sqlite:
            driver.interrupt()
        elif (cancel := getattr(driver, "cancel", None)) is not None:
            cancel()

    def close(self) -> None:
        with suppress(Exception):
            self.connection.invalidate()
        with suppress(Exception):
            self.connection.close()


def open_connection(target: Target, password: str | None, *, ca: str | None, left: float) -> Opened:
    """A new connection, within `left` seconds; raises SQLAlchemy's errors, and ours where it may not be opened.

    `ca`: the authorities of the connection's own, as PEM.
    """
    check_driver(target)
    if target.is_sqlite:
        return _open_file(target)
    addresses = _checked_addresses(target)
    url = target.url if password is None else target.url.set(password=password)
    if target.is_postgres:
        return _open_postgres(target, url, addresses, ca, left)
    if addresses and target.outside:
        url = url.set(host=addresses[0])
    engine = sa.create_engine(url, poolclass=NullPool, isolation_level="READ COMMITTED")
    return Opened(engine.connect(), target)


def _open_postgres(
    target: Target, url: sa.URL, addresses: Sequence[str], ca: str | None, left: float
) -> Opened:
    options: dict[str, Any] = {
        "connect_timeout": max(1, int(min(CONNECT, left))),
        "application_name": "headrace",
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "prepare_threshold": None,  # between us and the database may stand a pool that shares sessions
    }
    if addresses:
        options["host"] = ",".join([target.host] * len(addresses))
        options["hostaddr"] = ",".join(addresses)
    mode = str(target.url.query.get("sslmode", ""))
    if ca is None and mode not in CHECKED:
        return _connected(target, url, options)
    with in_memory(authorities(ca)) as path:
        options |= {"sslrootcert": path, "sslmode": mode if mode in CHECKED else CHECKED[0]}
        return _connected(target, url, options)


def _connected(target: Target, url: sa.URL, options: Mapping[str, Any]) -> Opened:
    engine = sa.create_engine(url, poolclass=NullPool, connect_args=options, isolation_level="READ COMMITTED")
    return Opened(engine.connect(), target)


def _checked_addresses(target: Target) -> list[str]:
    """The host's addresses, all of which may be gone to; none for a socket of this machine."""
    if not target.host:
        return []
    guard = Network(addresses="public" if target.outside else "").guard()
    try:
        return guard.addresses(target.host, target.port)
    except (OSError, UnicodeError):
        raise Transient("unreachable", f"The name {target.host} could not be resolved.") from None


def _open_file(target: Target) -> Opened:
    path = Path(target.url.database or "")
    if not path.is_file():
        raise NeedsOperator("no_database", f"There is no file {path.name}, or this worker may not see it.")
    state: list[Opened] = []

    def connect() -> sqlite3.Connection:
        found = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro", uri=True, timeout=CONNECT, check_same_thread=False
        )
        found.execute("PRAGMA query_only = 1")
        found.text_factory = _text
        found.set_progress_handler(lambda: bool(state) and monotonic() > state[0].deadline, OPCODES)
        return found

    creator: Callable[[], Any] = connect
    engine = sa.create_engine("sqlite+pysqlite://", creator=creator, poolclass=NullPool)
    opened = Opened(engine.connect(), target)
    state.append(opened)
    return opened


def _text(raw: bytes) -> str:
    """SQLite keeps whatever bytes it was given as text."""
    return raw.decode("utf-8", "replace")
