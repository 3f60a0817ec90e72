"""The sender on real sockets, against a system that misbehaves in every way that we could think of."""

import gzip
import io
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
import structlog
from servers.systems.sending import Budget

from worker.config import Settings
from worker.connectors.contract import Limits, Request, Response, Stream
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http import CallContext, Sender, grant
from worker.http.wire.process import close_shared_wire
from worker.telemetry.logs import configure_logging
from worker.telemetry.redaction import MASK
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration

TOKEN = "planted-token/of the plant"


class Plant(ThreadingHTTPServer):
    """Answers by path; notes who connected and what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stopping = Event()
        self.connections: set[Any] = set()
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what is tried here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Plant

    def handle_one_request(self) -> None:
        self.server.connections.add(self.client_address)
        super().handle_one_request()

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.rfile.read(int(headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path, headers))
        name = self.path.split("?")[0].removeprefix("/api/").replace("-", "_")
        getattr(self, name)()

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def reply(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def assets(self) -> None:
        self.reply(gzip.compress(b'{"assets": []}'), Content_Encoding="gzip")

    def closes_when_asked_again(self) -> None:
        if len([1 for _, path, _ in self.server.asked if path == self.path]) == 2:
            self.close_connection = True
            return
        self.reply(b"{}")

    def drips_body(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.drip(b"x")

    def drips_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.drip(b"x")

    def drip(self, byte: bytes) -> None:
        while not self.server.stopping.wait(0.05):
            self.wfile.write(byte)

    def silent(self) -> None:
        self.server.stopping.wait()

    def endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not self.server.stopping.is_set():
            self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def bomb(self) -> None:
        self.reply(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")

    def cut(self) -> None:
        self.reply(b"only this", Content_Length="500")
        self.close_connection = True

    def garbage(self) -> None:
        self.wfile.write(b"this is no HTTP\r\n\r\n")
        self.close_connection = True

    def elsewhere(self) -> None:
        self.send_response(307)
        self.send_header("Location", "http://localhost:9/stolen")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Bearer:
    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        headers = {**request.headers, "Authorization": f"Bearer {secrets['token']}"}
        yield Request(request.method, request.url, request.params, headers, request.body)


@dataclass
class Bound:
    base_url: str
    auth: Bearer = field(default_factory=Bearer)
    transport: str = "http"
    limits: Limits = field(default_factory=lambda: Limits(requests=1000, per=1))

    def stream(self, name: str) -> Stream:
        raise NotImplementedError

    def failure(self, response: Response) -> HeadraceError | None:
        return None


@pytest.fixture
def plant() -> Iterator[Plant]:
    server = Plant()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def own_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PLANT_TOKEN", TOKEN)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    yield
    close_shared_wire()


@dataclass
class Asker:
    base_url: str
    budget: Budget = field(default_factory=Budget)
    steps: Steps = field(default_factory=Steps)

    def __call__(
        self,
        path: str,
        method: str = "GET",
        *,
        timeout: float = 5,
        body: bytes | None = None,
        reads: bool = True,
    ) -> Response:
        ctx = CallContext(
            connection_id=1,
            account="acme",
            lane=2,
            source=Bound(self.base_url),
            secrets={"token": "env://PLANT_TOKEN"},
            request_id="req-1",
            steps=self.steps,
            reads=reads,
        )
        sender = Sender(self.budget, timeout=timeout, max_bytes=100_000)
        return sender.send(ctx, Request(method, path, body=body))


@pytest.fixture
def ask(plant: Plant) -> Asker:
    return Asker(f"http://127.0.0.1:{plant.server_port}/api")


def refused(call: Callable[[], Response], kind: type[HeadraceError]) -> HeadraceError:
    with pytest.raises(HeadraceError) as caught:
        call()
    assert type(caught.value) is kind, caught.value
    assert TOKEN not in str(caught.value)
    return caught.value


def test_requests_share_a_connection_and_carry_their_proof(
    plant: Plant, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        grant, "FRESH", 60.0
    )  # a slow machine would ask again for a permit that is old by then
    for _ in range(3):
        assert ask("assets").body == b'{"assets": []}'

    assert len(plant.connections) == 1
    for method, path, headers in plant.asked:
        assert (method, path) == ("GET", "/api/assets")
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert headers["x-request-id"] == "req-1"
    assert [entry["name"] for entry in ask.steps.as_json()].count("connect") == 1
    assert len(ask.budget.taken) == 3


def test_a_kept_alive_connection_that_the_system_closed_is_replaced(
    plant: Plant, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        grant, "FRESH", 60.0
    )  # a slow machine would ask again for a permit that is old by then
    ask("closes-when-asked-again")
    assert ask("closes-when-asked-again").status == 200

    assert len(plant.connections) == 2
    assert len(plant.asked) == 3
    assert len(ask.budget.taken) == 3, "what is sent again takes a permit again"


def test_a_request_that_may_change_something_is_not_sent_again(plant: Plant, ask: Asker) -> None:
    ask("closes-when-asked-again", "POST", body=b"{}", reads=False)
    refused(lambda: ask("closes-when-asked-again", "POST", body=b"{}", reads=False), Transient)

    assert len(plant.asked) == 2


@pytest.mark.parametrize("path", ["drips-body", "drips-headers", "silent"])
def test_an_answer_that_takes_for_ever_is_cut(plant: Plant, ask: Asker, path: str) -> None:
    start = monotonic()
    error = refused(lambda: ask(path, timeout=0.4), Transient)

    assert error.code == "timeout"
    assert f"127.0.0.1:{plant.server_port} did not answer GET /api/{path} in time." in str(error)
    assert monotonic() - start < 10


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        ("endless", NeedsOperator, "page_too_large"),
        ("bomb", NeedsOperator, "page_too_large"),
        ("cut", Transient, "broken_answer"),
        ("garbage", Transient, "broken_answer"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_the_next_one_works(
    ask: Asker, path: str, kind: type[HeadraceError], code: str
) -> None:
    assert refused(lambda: ask(path), kind).code == code
    assert ask("assets").status == 200


def test_refused_answers_use_up_no_connections(ask: Asker) -> None:
    """More of them than the pool has places."""
    for _ in range(220):
        refused(lambda: ask("endless"), NeedsOperator)

    assert ask("assets").status == 200


def test_a_redirect_is_not_followed_with_our_proof(plant: Plant, ask: Asker) -> None:
    assert ask("elsewhere").status == 307
    assert len(plant.asked) == 1


def test_a_system_that_is_down_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = refused(lambda: Asker(f"http://127.0.0.1:{port}")("assets"), Transient)

    assert error.code == "unreachable"
    assert f"127.0.0.1:{port} refused the connection" in str(error)


def test_a_name_that_is_none_is_unreachable() -> None:
    error = refused(lambda: Asker("http://no-such-plant.invalid")("assets"), Transient)

    assert error.code == "unreachable"
    assert "no-such-plant.invalid" in str(error)


def test_a_certificate_that_nobody_vouches_for_is_refused(plant: Plant) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("untrusted.pem"))
    plant.socket = context.wrap_socket(plant.socket, server_side=True)

    error = refused(lambda: Asker(f"https://127.0.0.1:{plant.server_port}")("assets"), NeedsOperator)

    assert error.code == "tls_failed"
    assert "self-signed" in str(error).replace("self signed", "self-signed")
    assert plant.asked == []


def test_a_system_without_tls_is_told_apart(plant: Plant) -> None:
    error = refused(lambda: Asker(f"https://127.0.0.1:{plant.server_port}")("assets"), NeedsOperator)

    assert error.code == "tls_failed"
    assert "does not speak TLS" in str(error)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    out = io.StringIO()
    configure_logging(Settings(log_level="DEBUG"), process="worker", stream=out)
    yield out
    for handler in [each for each in root.handlers if each not in before[0]]:
        root.removeHandler(handler)
    root.setLevel(before[1])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_the_token_is_in_no_log_even_when_every_header_is_logged(ask: Asker, logged: io.StringIO) -> None:
    ask("assets?token=planted-token%2Fof%20the%20plant")
    refused(lambda: ask("cut"), Transient)

    said = logged.getvalue()
    assert "authorization" in said, "whole headers are logged at this level"
    assert MASK in said
    assert "planted-token" not in said
