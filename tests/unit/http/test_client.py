"""The shared client is one per process, and owes nothing to the environment."""

import subprocess
import sys

import pytest

from worker.http.client import close_shared_client, new_client, shared_client
from worker.http.deadline import DeadlineBackend, DeadlineStream, within

FORKS = """
import os
from worker.http.client import shared_client
parents = shared_client()
child = os.fork()
if child == 0:
    mine = shared_client()
    os._exit(0 if mine is not parents and not parents.is_closed else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert shared_client() is parents
"""


def test_a_process_has_one_client() -> None:
    first = shared_client()
    assert shared_client() is first
    close_shared_client()
    assert first.is_closed
    assert shared_client() is not first
    close_shared_client()


def test_a_forked_process_makes_its_own_and_leaves_the_parents_alone() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    client = shared_client()
    assert client._mounts == {}
    assert client.trust_env is False
    assert client.follow_redirects is False
    assert isinstance(client._transport._pool._network_backend, DeadlineBackend)  # type: ignore[attr-defined]
    assert new_client(client._transport).cookies.jar is not client.cookies.jar
    close_shared_client()


class _Waits:
    """Notes how long it may wait."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"x" * max_bytes


def test_waits_are_cut_to_what_is_left() -> None:
    inner = _Waits()
    stream = DeadlineStream(inner)  # type: ignore[arg-type]
    with within(5):
        stream.read(1, 60)
        stream.read(1, 2)
        stream.read(1, None)
    stream.read(1, 60)

    cut, short, unbounded, free = inner.timeouts
    assert cut is not None
    assert 4 < cut <= 5
    assert short == 2
    assert unbounded is not None
    assert unbounded <= 5
    assert free == 60, "a deadline ends with its request"
