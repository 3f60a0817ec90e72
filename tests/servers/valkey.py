"""A real Valkey for a test session. Each test gets it empty."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from scheduler.embedded.valkey import EmbeddedValkey


@contextmanager
def running_valkey(home: Path) -> Iterator[EmbeddedValkey]:
    """An embedded Valkey, stopped in the end."""
    embedded = EmbeddedValkey(home)
    try:
        embedded.start()
        yield embedded
    finally:
        embedded.stop()


def empty(url: str) -> None:
    """Forget everything: keys, scripts' cache, and messages."""
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        client.flushall()
        client.script_flush()
