"""A real Valkey for a test session. Each test gets it empty."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from scheduler.embedded.valkey import EmbeddedValkey
from worker.limits.valkey.question import Patience
from worker.limits.valkey.shared import SharedBudget


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
    shared = SharedBudget(url, patience=Patience(short_wait=0, lease=0, stored=False))
    shared.remembers()  # else every test would wait for what this Valkey may have forgotten
    shared.close()
