"""A system dies and comes back: all workers leave it alone meanwhile, and one request finds out that it is back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from servers.waiting import wait_until
from structlog.testing import capture_logs

from worker.connectors.auth import NoAuth
from worker.connectors.contract import Auth, Limits, Request, Response, Stream
from worker.errors import HeadraceError, Transient
from worker.http.sender import CallContext, Sender
from worker.http.wire.process import close_shared_wire
from worker.limits.budget import Budgets
from worker.limits.system import breaker
from worker.limits.system.failures import Failures
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        plant: Plant = self.server.plant  # type: ignore[attr-defined]
        with plant.lock:
            plant.asked.append(self.path)
        status, headers = plant.says(self.path)
        self.send_response(status)
        for name, value in {"Content-Length": "2", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@dataclass
class Plant:
    """A system on one port, up or down."""

    port: int = 0
    says: Callable[[str], tuple[int, dict[str, str]]] = lambda _: (200, {})
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def up(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.plant = self  # type: ignore[attr-defined]
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def down(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        close_shared_wire()


@dataclass(frozen=True)
class Bound:
    base_url: str
    auth: Auth = field(default_factory=NoAuth)
    transport: str = "http"
    limits: Limits = field(default_factory=Limits)

    def stream(self, name: str) -> Stream:
        raise NotImplementedError

    def failure(self, response: Response) -> HeadraceError | None:
        return None if response.status < 400 else Transient("system_error", f"It said {response.status}.")


@pytest.fixture
def plant() -> Iterator[Plant]:
    found = Plant()
    found.up()
    yield found
    found.down()


class Worker:
    """What a process has of limits and sender."""

    def __init__(self, budgets: Budgets, failures: Failures, account: str, plant: Plant) -> None:
        self.budgets = budgets
        self.account = account
        self.plant = plant
        self.sender = Sender(budgets, timeout=5, max_bytes=1000, failures=failures)

    def ask(self, stream: str = "parts") -> str:
        """What became of a request: ok, or the error's code."""
        source = Bound(f"http://127.0.0.1:{self.plant.port}")
        ctx = CallContext(1, self.account, 3, source, {}, "r", Steps(), stream=stream)
        try:
            self.sender.send(ctx, Request("GET", stream))
        except HeadraceError as exc:
            return exc.code
        return "ok"


@pytest.fixture
def workers(
    make: Callable[..., Budgets],
    budget_valkey: Any,
    account: str,
    plant: Plant,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[list[Worker]]:
    monkeypatch.setattr(breaker, "FIRST_HOLD", 1.0)
    with ExitStack() as stack:
        counts = [Failures(budget_valkey.url) for _ in range(2)]
        for each in counts:
            stack.callback(each.close)
        yield [Worker(make(), each, account, plant) for each in counts]


def test_a_system_that_dies_is_left_alone_and_found_again_by_one_request(
    workers: list[Worker], plant: Plant
) -> None:
    one, other = workers
    assert [one.ask(), other.ask()] == ["ok", "ok"]
    plant.down()
    with capture_logs() as logs:
        became = [workers[n % 2].ask(f"stream{n % 3}") for n in range(8)]
        assert became == ["unreachable"] * 4 + ["circuit_open"] + ["budget_exhausted"] * 3
        state = other.budgets.state(other.account)
        assert state.held_until is not None
        assert state.reason == f"Circuit open: 127.0.0.1:{plant.port} could not be reached"

        # The first one to try finds it dead still: everybody waits again, for longer.
        wait_until(lambda: other.ask() == "circuit_open", 10)
        assert one.ask() == "budget_exhausted"

        plant.up()
        wait_until(lambda: one.ask() == "ok", 10)
        wait_until(lambda: [one.ask(), other.ask()] == ["ok", "ok"], 10)
    assert [entry["event"] for entry in logs if entry["event"].startswith("circuit")] == [
        "circuit_opened",
        "circuit_opened",
        "circuit_closed",
    ]
    assert other.budgets.state(other.account).held_until is None


def test_when_it_comes_back_one_request_tries_and_not_the_crowd(workers: list[Worker], plant: Plant) -> None:
    gate = threading.Event()
    plant.says = lambda _: (503, {})
    for n in range(5):
        workers[0].ask(f"stream{n}")
    before = len(plant.asked)

    def answers(_path: str) -> tuple[int, dict[str, str]]:
        gate.wait(5)
        return 200, {}

    plant.says = answers
    first = threading.Thread(target=lambda: wait_until(lambda: workers[0].ask() == "ok", 10))
    first.start()
    wait_until(lambda: len(plant.asked) > before, 10)
    assert {worker.ask(f"stream{n}") for n in range(5) for worker in workers} == {"budget_exhausted"}
    assert len(plant.asked) == before + 1
    gate.set()
    first.join()
    wait_until(lambda: workers[1].ask() == "ok", 10)


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
def test_one_stream_that_fails_stops_no_other(workers: list[Worker], plant: Plant, status: int) -> None:
    plant.says = lambda path: (status if path == "/bad" else 200, {})
    assert {worker.ask("bad") for _ in range(10) for worker in workers} == {"system_error"}
    assert {worker.ask("good") for worker in workers} == {"ok"}


def test_what_is_left_by_the_headers_is_spread_over_all_workers(workers: list[Worker], plant: Plant) -> None:
    plant.says = lambda _: (
        200,
        {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"},
    )
    one, other = workers
    assert one.ask() == "ok"
    assert other.ask() == "budget_exhausted"
    state = other.budgets.state(other.account)
    assert state.held_until is not None


def test_a_refusal_is_heeded_by_all_workers_until_its_time(workers: list[Worker], plant: Plant) -> None:
    plant.says = lambda _: (429, {"Retry-After": "1"})
    assert workers[0].ask() == "rate_limited"
    assert workers[1].ask() == "budget_exhausted"
    plant.says = lambda _: (200, {})
    wait_until(lambda: workers[1].ask() == "ok", 10)
