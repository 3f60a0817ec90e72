"""The wire on real sockets, against a system that answers byte for byte what the test says."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread

import httpx
import pytest

from worker.http.wire.deadline import Deadline
from worker.http.wire.exchange import PooledWire
from worker.http.wire.message import Answer, Origin, Outgoing, TooLarge
from worker.http.wire.process import direct_wire

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class System:
    """Answers each request with the next parts of the script; None closes the connection, an event is waited for."""

    def __init__(self) -> None:
        self.script: list[list[bytes | Event | None]] = []
        self.connections = 0
        self.asked: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                opened, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._speak, args=(opened,), daemon=True).start()

    def _speak(self, opened: socket.socket) -> None:
        with opened, suppress(ConnectionError):  # a client that hangs up is what is tried here
            while asked := opened.recv(65536):
                self.asked.append(asked)
                for part in self.script.pop(0) if self.script else ():
                    if part is None:
                        return
                    if isinstance(part, Event):
                        part.wait(5)
                    else:
                        opened.sendall(part)


class Moments:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.sizes: list[int] = []

    def connecting(self) -> None:
        self.seen.append("connecting")

    def before_sending(self) -> None:
        self.seen.append("sending")

    def answered(self) -> None:
        self.seen.append("answered")

    def comes(self, size: int) -> None:
        self.sizes.append(size)


@pytest.fixture
def system() -> Iterator[System]:
    opened = System()
    yield opened
    opened.close()


@pytest.fixture
def wire() -> Iterator[PooledWire]:
    opened = direct_wire()
    yield opened
    opened.close()


Ask = Callable[..., Answer]


@pytest.fixture
def ask(system: System, wire: PooledWire) -> Ask:
    def ask(
        *parts: bytes | Event | None, method: str = "GET", most: int = 1_000_000, body: bytes | None = None
    ) -> Answer:
        if parts:
            system.script.append(list(parts))
        origin = Origin("http", "127.0.0.1", system.port)
        outgoing = Outgoing(origin, method, "/a", f"127.0.0.1:{system.port}", (), body)
        return wire.exchange(outgoing, Moments(), Deadline.of(5, 5), most)

    return ask


@pytest.mark.parametrize(
    ("parts", "method", "status", "body", "connections"),
    [
        ([OK], "GET", 200, b"{}", 1),
        ([OK[:10], OK[10:]], "GET", 200, b"{}", 1),
        ([OK[:-2], OK[-2:]], "GET", 200, b"{}", 1),
        ([CHUNKED + b"2\r\n{", b"}\r\n0\r\n\r\n"], "GET", 200, b"{}", 1),
        ([b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", OK], "GET", 200, b"{}", 1),
        ([b"HTTP/1.1 204 None\r\n\r\n"], "GET", 204, b"", 1),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], "HEAD", 200, b"", 1),
        ([b"HTTP/1.1 200 OK\r\n\r\n{}", None], "GET", 200, b"{}", 2),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", None], "GET", 200, b"{}", 2),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"], "GET", 200, b"{}", 2),
    ],
)
def test_an_answer_of_any_kind_is_read_and_its_connection_kept_if_it_may_be(
    system: System,
    ask: Ask,
    parts: list[bytes | None],
    method: str,
    status: int,
    body: bytes,
    connections: int,
) -> None:
    answer = ask(*parts, method=method)
    assert (answer.status, answer.body) == (status, body)
    assert ask(OK).body == b"{}"
    assert system.connections == connections


def test_a_body_of_many_pieces_comes_whole(ask: Ask) -> None:
    whole = bytes(range(256)) * 4000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)
    assert (
        ask(head, *(whole[at : at + 70_001] for at in range(0, len(whole), 70_001)), most=2**21).body == whole
    )


@pytest.mark.parametrize(
    "parts",
    [
        [None],
        [b"HTTP/1.1 200 OK\r\nContent-Le", None],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", None],
        [CHUNKED + b"2\r\n{}\r\n", None],
        [CHUNKED + b"zz\r\n{}\r\n", None],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", None],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", None],
        [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", None],
        [b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, None],
        [b"\x16\x03\x01\x02\x00", None],
    ],
)
def test_an_answer_that_ends_early_or_is_not_http_is_none(
    system: System, ask: Ask, parts: list[bytes | None]
) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        ask(*parts)
    assert ask(OK).status == 200
    assert system.connections == 2


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"],
        [CHUNKED, *[b"30\r\n" + b"x" * 48 + b"\r\n"] * 3],
        [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101],
    ],
)
def test_no_more_than_the_bound_is_taken(system: System, ask: Ask, parts: list[bytes | None]) -> None:
    with pytest.raises(TooLarge):
        ask(*parts, most=100)
    assert ask(OK).status == 200
    assert system.connections == 2


def test_a_refusal_said_before_a_large_request_is_read_is_heard(ask: Ask) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert ask(refusal, method="POST", body=b"x" * 100_000).status == 413


def test_what_may_not_be_sent_after_all_is_not_sent(system: System, wire: PooledWire) -> None:
    class Refusing(Moments):
        def before_sending(self) -> None:
            raise RuntimeError("not now")

    origin = Origin("http", "127.0.0.1", system.port)
    outgoing = Outgoing(origin, "GET", "/", f"127.0.0.1:{system.port}", ())
    with pytest.raises(RuntimeError):
        wire.exchange(outgoing, Refusing(), Deadline.of(5, 5), 10)
    system.script.append([OK])
    moments = Moments()
    wire.exchange(outgoing, moments, Deadline.of(5, 5), 10)

    assert moments.seen == ["connecting", "sending", "answered"]
    assert len(system.asked) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@pytest.mark.parametrize(("said", "sizes"), [(OK, [2]), (CHUNKED, [3, 5])])
def test_the_size_of_a_body_is_told_before_it_is_read_and_who_is_told_may_end_it(
    system: System, wire: PooledWire, said: bytes, sizes: list[int]
) -> None:
    class Full(Moments):
        def comes(self, size: int) -> None:
            raise RuntimeError("no room")

    outgoing = Outgoing(Origin("http", "127.0.0.1", system.port), "GET", "/", f"127.0.0.1:{system.port}", ())
    system.script += [[said], [said]]
    with pytest.raises(RuntimeError):
        wire.exchange(outgoing, Full(), Deadline.of(5, 5), 10)
    moments = Moments()
    wire.exchange(outgoing, moments, Deadline.of(5, 5), 10)
    assert moments.sizes == sizes
    assert system.connections == 2, "the rest of a body that nobody read is on it"
