"""Which wires has this process? One for all, and one for each network of its own, made at the first use and anew after
a fork.

Two processes must not speak on one connection, and a child must not say goodbye in its parent's name. Certificates are
checked against the operating system's store and certifi's together, but for a network with authorities of its own.
"""

import os
from threading import Lock

from worker.http.network.kept import NetworkWires
from worker.http.network.tls import trusted
from worker.http.wire.exchange import PooledWire
from worker.http.wire.pool import Pool

MOST_CONNECTIONS = 400
MOST_KEPT_ALIVE = 200
KEPT_ALIVE = 30.0


class _Process:
    """What must not survive a fork."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.wire: PooledWire | None = None
        self.networks = NetworkWires()


_process = _Process()
_inherited: list[_Process] = []


def _after_fork() -> None:
    """The parent's connections stay untouched, and their sockets open: closing TLS here would speak in its name."""
    global _process  # noqa: PLW0603
    _inherited.append(_process)
    _process = _Process()


os.register_at_fork(after_in_child=_after_fork)


def shared_wire() -> PooledWire:
    """The wire of this process."""
    process = _process
    if process.wire is not None:
        return process.wire
    with process.lock:
        if process.wire is None:
            process.wire = direct_wire()
        return process.wire


def network_wires() -> NetworkWires:
    """The wires of connections that don't leave as all others do."""
    return _process.networks


def close_shared_wire() -> None:
    """Close what is open; the next use opens anew."""
    process = _process
    process.networks.close()
    with process.lock:
        if process.wire is not None:
            process.wire.close()
        process.wire = None


def direct_wire() -> PooledWire:
    """A wire straight to the systems: the environment's proxies are not used."""
    return PooledWire(
        Pool(trusted(), most_open=MOST_CONNECTIONS, most_idle=MOST_KEPT_ALIVE, kept_alive=KEPT_ALIVE)
    )
