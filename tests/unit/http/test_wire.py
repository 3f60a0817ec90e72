"""The wire is one per process, owes nothing to the environment, and refuses what would change a request's frame."""

import subprocess
import sys
from typing import Any

import httpcore
import httpx
import pytest

from worker.http.wire.deadline import Deadline, DeadlineBackend, DeadlineStream, within
from worker.http.wire.message import Origin, Outgoing
from worker.http.wire.process import close_shared_wire, direct_wire, shared_wire

HERE = Origin("https", "here.example", 443)

FORKS = """
import os
from worker.http.wire.process import shared_wire
parents = shared_wire()
child = os.fork()
if child == 0:
    os._exit(0 if shared_wire() is not parents else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert shared_wire() is parents
"""


def test_a_process_has_one_wire() -> None:
    first = shared_wire()
    assert shared_wire() is first
    close_shared_wire()
    assert shared_wire() is not first
    close_shared_wire()


def test_a_forked_process_makes_its_own_and_leaves_the_parents_alone() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    pool: Any = direct_wire()._pool
    connection = pool._new((b"https", b"here.example", 443))
    assert type(connection) is httpcore.HTTPConnection, "straight to the system, by no proxy"
    assert isinstance(connection._network_backend, DeadlineBackend)


class _Waits:
    """Notes how long it may wait."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"x" * max_bytes


def test_all_waits_together_end_with_the_deadline() -> None:
    inner = _Waits()
    stream = DeadlineStream(inner)  # type: ignore[arg-type]
    with within(Deadline.of(5, 60)):
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
    with within(Deadline.of(-1, 60)), pytest.raises(httpcore.ReadTimeout):
        stream.read(1, 60)


def outgoing(*headers: tuple[str, str], method: str = "GET", target: str = "/a?b=1") -> Outgoing:
    return Outgoing(HERE, method, target, "here.example", headers, b"{}" if method == "POST" else None)


@pytest.mark.parametrize(
    "wrong",
    [
        outgoing(("accept", "planted\r\nHost: evil")),
        outgoing(("accept", "planted\n")),
        outgoing(("accept", "planted\x00")),
        outgoing(("accept", " planted")),
        outgoing(("accept", "planted-käse")),
        outgoing(("planted:", "x")),
        outgoing(("planted\r\n", "x")),
        outgoing(("", "planted")),
        outgoing(("content-length", "5")),
        outgoing(("transfer-encoding", "chunked")),
        outgoing(("host", "evil.example")),
        outgoing(method="GET planted"),
        outgoing(target="/planted HTTP/1.1\r\n"),
        outgoing(target=""),
    ],
)
def test_what_would_change_how_a_request_is_framed_is_refused_without_its_words(wrong: Outgoing) -> None:
    with pytest.raises(httpx.LocalProtocolError) as caught:
        wrong.check()
    assert "planted" not in str(caught.value)
