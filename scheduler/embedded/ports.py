"""On which port does a server listen?

A fixed one, or an error that names it and the setting to change; the one it had last time, so that its URL stays the
same; or a free one. Free ones are taken below the range from which the kernel serves outgoing connections, so that no
client can sit on it when the server comes back.
"""

import errno
import random
import socket
from pathlib import Path

from scheduler.embedded.private_files import read_or_none, write_private
from worker.errors import NeedsOperator

LOOPBACK = "127.0.0.1"
_FREE_PORTS = range(20000, 32000)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    return _obstacle(port, host) is None


def _obstacle(port: int, host: str) -> OSError | None:
    """What keeps a server from listening there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do: a past one's TIME_WAIT is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as exc:
        return exc
    return None


def free_port(host: str = LOOPBACK) -> int:
    """Some port that nobody listens on."""
    for port in random.sample(_FREE_PORTS, 200):
        if is_free(port, host):
            return port
    raise NeedsOperator("no_free_port", f"No free port was found on {host}.")


def require_free(port: int, *, server: str, setting: str, host: str = LOOPBACK) -> int:
    """The port, or the error `port_in_use` or `port_unusable`, which says what to change."""
    obstacle = _obstacle(port, host)
    if obstacle is None:
        return port
    if obstacle.errno == errno.EADDRINUSE:
        raise NeedsOperator(
            "port_in_use",
            f"Port {port} on {host}, meant for {server}, is in use.",
            hint=f"Stop what listens there, or set {setting} to another port (0 takes a free one).",
        )
    raise NeedsOperator(
        "port_unusable",
        f"{server} can't listen on port {port} of {host}: {obstacle.strerror}.",
        hint=f"Set {setting} to another port, or the address to one of this machine.",
    )


def choose_port(wanted: int, *, kept_in: Path, server: str, setting: str) -> int:
    """The fixed port if one is wanted, else the one kept from last time while it is free, else a free one, kept."""
    if wanted:
        return require_free(wanted, server=server, setting=setting)
    kept = read_or_none(kept_in)
    if kept is not None and kept.isdecimal() and 0 < int(kept) < 65536 and is_free(int(kept)):
        return int(kept)
    port = free_port()
    write_private(kept_in, f"{port}\n")
    return port
