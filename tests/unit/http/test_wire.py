"""Answers are read as h11 reads them, requests say what they should, and connections are kept within bounds."""

import subprocess
import sys
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import h11
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.wire.line import Deadline
from worker.http.wire.message import Origin, Outgoing
from worker.http.wire.plain import plain_head
from worker.http.wire.pool import Pool
from worker.http.wire.process import close_shared_wire, shared_wire

HERE, THERE = Origin("https", "here.example", 443), Origin("https", "there.example", 443)

FORKS = """
import os
from worker.http.wire.process import shared_wire
parents = shared_wire()
child = os.fork()
if child == 0:
    mine = shared_wire()
    os._exit(0 if mine is not parents and not parents.pool.closed else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert shared_wire() is parents
"""


def test_a_process_has_one_wire() -> None:
    first = shared_wire()
    assert shared_wire() is first
    close_shared_wire()
    assert first.pool.closed
    assert shared_wire() is not first
    close_shared_wire()


def test_a_forked_process_makes_its_own_and_leaves_the_parents_alone() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


def test_all_waits_together_end_with_the_deadline() -> None:
    assert Deadline.of(50, 2).left(httpx.ReadTimeout) == 2
    assert 4 < Deadline.of(5, 60).left(httpx.ReadTimeout) <= 5
    with pytest.raises(httpx.WriteTimeout):
        Deadline.of(-1, 60).left(httpx.WriteTimeout)


# --- requests ---


def outgoing(*headers: tuple[str, str], method: str = "GET", target: str = "/a?b=1") -> Outgoing:
    return Outgoing(HERE, method, target, "here.example", headers, b"{}" if method == "POST" else None)


def test_a_request_is_read_by_h11_as_it_was_meant() -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(outgoing(("accept", "*/*"), ("empty", ""), method="POST").written())
    asked, data = server.next_event(), server.next_event()

    assert isinstance(asked, h11.Request)
    assert (asked.method, asked.target) == (b"POST", b"/a?b=1")
    assert list(asked.headers) == [
        (b"host", b"here.example"),
        (b"accept", b"*/*"),
        (b"empty", b""),
        (b"content-length", b"2"),
    ]
    assert isinstance(data, h11.Data)
    assert data.data == b"{}"


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
        wrong.written()
    assert "planted" not in str(caught.value)


# --- answers ---

NAMES = st.sampled_from(
    ["Content-Length", "X-Total", "Connection", "Transfer-Encoding", "x y", "Set-Cookie", "é"]
)
VALUES = st.one_of(
    st.sampled_from(
        ["5", "0", "+5", "5, 5", "chunked", "close", "keep-alive", "Keep-Alive, x", " 5\t", "", "ä"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=6),
)
STARTS = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 404", "HTTP/1.1 204 x", "HTTP/1.1 101 x", "HTTP/1.0 200 OK", "HTTP/1.1  200 OK",
     "http/1.1 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 304 ", "HTTP/2 200", "HTTP/1.1 500 \x01"]
)  # fmt: skip


@given(
    start=STARTS,
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=4),
    end=st.sampled_from(["\r\n", "\n", "\r\n ", ""]),
    body=st.binary(max_size=8),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_what_is_taken_for_plain_is_what_h11_reads(
    start: str, headers: list[tuple[str, str]], end: str, body: bytes, method: str
) -> None:
    lines = "".join(f"{name}:{value}\r\n" for name, value in [*headers, ("Content-Length", "5")])
    raw = f"{start}\r\n{lines}{end}".encode("latin-1") + body
    found = plain_head(raw, method)
    if found is None:
        return

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(raw)
    read = client.next_event()
    assert isinstance(read, h11.Response)
    assert read.status_code == found.status
    theirs: dict[str, bytes] = {}
    for name, value in ((name.decode(), bytes(value)) for name, value in read.headers):
        theirs[name] = theirs[name] + b", " + value if name in theirs else value
    ways = ("utf-8", "latin-1")
    assert theirs in [
        {name: text.encode(way, "replace") for name, text in found.headers.items()} for way in ways
    ]
    taken = b""
    while isinstance(event := client.next_event(), h11.Data):
        taken += event.data
    assert found.begun[: found.length] == taken
    if found.stays:
        assert client.our_state is not h11.MUST_CLOSE
        assert not client.trailing_data[0]


def test_a_usual_answer_is_plain() -> None:
    head = plain_head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: 1\r\na:  2 \r\n\r\n{", "GET")
    assert head is not None
    assert (head.status, head.length, head.begun, head.stays) == (200, 2, b"{", True)
    assert head.headers == {"content-length": "2", "a": "1, 2"}


# --- connections ---


@dataclass
class FakeLine:
    origin: Origin
    expires: float = 0.0
    quiet: bool = True
    closed: bool = False
    name: str = field(default="")

    def close(self) -> None:
        self.closed = True


class Pooled:
    """A pool with a clock, and fake connections."""

    def __init__(self, **bounds: Any) -> None:
        self.now = 100.0
        self.pool = Pool(now=lambda: self.now, **bounds)

    def take(self, origin: Origin = HERE, patience: float = 0.0) -> Any:
        return self.pool.take(origin, patience) or FakeLine(origin)


def test_the_latest_used_connection_to_the_same_place_is_taken_again() -> None:
    pooled = Pooled()
    first, second, other = pooled.take(), pooled.take(), pooled.take(THERE)
    for line in (first, second, other):
        pooled.pool.give_back(line)

    assert pooled.take() is second
    assert pooled.take() is first
    assert pooled.take() is not other
    assert pooled.take(THERE) is other


@pytest.mark.parametrize("why", ["spoke", "expired"])
def test_a_connection_that_is_not_to_be_trusted_is_closed(why: str) -> None:
    pooled = Pooled(kept_alive=30.0)
    line = pooled.take()
    pooled.pool.give_back(line)
    if why == "spoke":
        line.quiet = False
    else:
        pooled.now += 31

    assert pooled.take() is not line
    assert line.closed


def test_no_more_than_so_many_are_open_and_an_idle_one_makes_room() -> None:
    pooled = Pooled(most_open=2)
    line, _ = pooled.take(), pooled.take()
    with pytest.raises(httpx.PoolTimeout):
        pooled.take(THERE)
    pooled.pool.give_back(line)
    pooled.take(THERE)

    assert line.closed
    with pytest.raises(httpx.PoolTimeout):
        pooled.take()


def test_one_who_waits_gets_what_comes_back() -> None:
    pool = Pool(most_open=1)
    line: Any = pool.take(HERE, 0) or FakeLine(HERE)
    got: list[Any] = []
    waiting = Thread(target=lambda: got.append(pool.take(HERE, 5)))
    waiting.start()
    pool.give_back(line)
    waiting.join(5)

    assert got == [line]


def test_idle_connections_are_bounded_and_go_with_time() -> None:
    pooled = Pooled(most_idle=2, kept_alive=30.0)
    lines = [pooled.take() for _ in range(3)]
    for line in lines:
        pooled.pool.give_back(line)
    assert [line.closed for line in lines] == [False, False, True]

    busy = pooled.take(THERE)
    pooled.now += 31
    pooled.pool.give_back(busy)
    assert [line.closed for line in (*lines, busy)] == [True, True, True, False]


def test_what_is_in_use_when_the_pool_closes_is_closed_when_it_comes_back() -> None:
    pooled = Pooled()
    idle, busy = pooled.take(), pooled.take()
    pooled.pool.give_back(idle)
    pooled.pool.close()
    assert (idle.closed, busy.closed) == (True, False)
    pooled.pool.give_back(busy)
    assert busy.closed
