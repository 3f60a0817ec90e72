"""What does one small request cost? Our sender with all that it promises, beside bare httpx and bare httpcore.

One thread asks a source on this machine for an empty page over one kept connection. Ours opens a secret, gives the proof,
redacts, notes steps, heeds what the answer says; the grant of the budget is left out, which `limiter` measures. Then 300
threads ask 100 hosts: what a pool costs that many share. CPU is that of this process, user and system.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any
from unittest.mock import patch

import httpcore
import httpx

from tests.bench.parts.line import Line
from tests.bench.parts.servers import source
from worker.connectors.auth import HeaderAuth
from worker.connectors.contract import Auth, Limits, Request, Response, Stream, Transport
from worker.errors import HeadraceError
from worker.http.sender import CallContext, Sender
from worker.http.wire.deadline import Deadline
from worker.http.wire.message import Origin, Outgoing
from worker.http.wire.process import direct_wire
from worker.telemetry.steps import Steps

PARAMS = (("limit", "500"), ("updated_since", "2026-01-01T00:00:00Z"))
TARGET = "/nothing?limit=500&updated_since=2026-01-01T00%3A00%3A00Z"
SECRET = {"BENCH_TOKEN": "a-token-of-the-benchmark"}
HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "authorization": f"Bearer {SECRET['BENCH_TOKEN']}",
    "user-agent": "headrace",
    "x-request-id": "00000000-0000-0000-0000-000000000000",
}
HOSTS, THREADS = 100, 300
PAIRS: list[tuple[bytes | str, bytes | str]] = [*HEADERS.items()]
TIMEOUT = 30.0
Ask = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request, in milliseconds."""

    cpu: float
    wall: float


def run(full: bool) -> Iterator[Line]:
    rounds, requests = (7, 5000) if full else (3, 1500)
    with source(1) as data, patch.dict(os.environ, SECRET):
        contenders = {
            "ours": ours(data.url),
            "httpx": bare_httpx(data.url),
            "httpcore": bare_httpcore(data.url),
        }
        found = {name: [] for name in contenders}  # type: dict[str, list[Cost]]
        for _ in range(rounds):
            for name, ask in contenders.items():
                found[name].append(measured(ask, requests))
        yield _line("a small request", found, "httpx", "<= 0.45 ms", most=0.45)
        yield _line("a small request", found, "httpcore", "")
        yield _wall_line("a small request, time on the clock", found, "httpx")
        port = httpx.URL(data.url).port or 0
        with (
            patch("socket.create_connection", _to_the_source),
            patch("worker.http.wire.destination.resolve_host", _resolved),
        ):
            crowds = {"ours": _crowd(wire_ask(port)), "httpcore": _crowd(pool_ask(port))}
            shared = {name: [crowd(3) for _ in range(3 if full else 1)] for name, crowd in crowds.items()}
        yield _line(f"a request of {THREADS} threads to {HOSTS} hosts", shared, "httpcore", "")


def ours(url: str) -> Ask:
    """One request through the sender, as a run makes it."""
    sender, bound = Sender(_NoBudget(), timeout=TIMEOUT, max_bytes=2**20), _Bound(url)
    request = Request("GET", f"{url}/nothing", PARAMS, {"Accept": "application/json"})

    def ask() -> object:
        secrets = {"token": "env://BENCH_TOKEN"}
        ctx = CallContext(1, "bench", 3, bound, secrets, HEADERS["x-request-id"], Steps(), stream="nothing")
        return sender.send(ctx, request).body

    return ask


def bare_httpx(url: str) -> Ask:
    """The same request with nothing around it."""
    client = httpx.Client(trust_env=False, timeout=TIMEOUT)
    return lambda: client.get(f"{url}/nothing", params=dict(PARAMS), headers=HEADERS).content


def bare_httpcore(url: str) -> Ask:
    """And one layer below."""
    pool = httpcore.ConnectionPool()
    return lambda: pool.request("GET", url + TARGET, headers=PAIRS).content


def measured(ask: Ask, requests: int) -> Cost:
    """The mean of so many, one after the other."""
    for _ in range(50):
        ask()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(requests):
        ask()
    each = 1000 / requests
    return Cost((time.process_time() - cpu) * each, (time.perf_counter() - wall) * each)


AskHost = Callable[[str], object]


def wire_ask(port: int) -> AskHost:
    """Our connections, without what the sender does around them."""
    wire, moments, headers = direct_wire(), _Moments(), tuple(HEADERS.items())

    def ask(host: str) -> object:
        outgoing = Outgoing(Origin("http", host, port), "GET", TARGET, f"{host}:{port}", headers)
        return wire.exchange(outgoing, moments, Deadline.of(2 * TIMEOUT, TIMEOUT), 2**20).body

    return ask


def pool_ask(port: int) -> AskHost:
    """The pool of httpcore, with the same bounds as ours."""
    pool = httpcore.ConnectionPool(max_connections=400, max_keepalive_connections=200, keepalive_expiry=30)

    def ask(host: str) -> object:
        url = httpcore.URL(scheme=b"http", host=host.encode(), port=port, target=TARGET.encode())
        return pool.request("GET", url, headers=PAIRS).content

    return ask


def _resolved(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


_connect = socket.create_connection


def _to_the_source(address: tuple[str, int], *others: Any, **named: Any) -> socket.socket:
    """One source is a hundred hosts."""
    return _connect(("127.0.0.1", address[1]), *others, **named)


def _crowd(ask: AskHost) -> Callable[[int], Cost]:
    hosts = [f"host{n}.example" for n in range(HOSTS)]

    def crowd(each: int) -> Cost:
        with ThreadPoolExecutor(THREADS) as threads:

            def work(number: int) -> None:
                for n in range(each):
                    ask(hosts[(number + n) % HOSTS])

            cpu, wall = time.process_time(), time.perf_counter()
            list(threads.map(work, range(THREADS)))
            per = 1000 / (THREADS * each)
            return Cost((time.process_time() - cpu) * per, (time.perf_counter() - wall) * per)

    return crowd


def _line(
    figure: str, found: dict[str, list[Cost]], against: str, target: str, *, most: float | None = None
) -> Line:
    mine, theirs = (tuple(cost.cpu for cost in found[name]) for name in ("ours", against))
    met = None if most is None else median(mine) <= most
    words = f"CPU; baseline: bare {against}"
    return Line(figure, median(mine), median(theirs), "ms", target, met, words, mine, theirs)


def _wall_line(figure: str, found: dict[str, list[Cost]], against: str) -> Line:
    mine, theirs = (tuple(cost.wall for cost in found[name]) for name in ("ours", against))
    return Line(
        figure, median(mine), median(theirs), "ms", "", None, f"baseline: bare {against}", mine, theirs
    )


@dataclass(frozen=True)
class _Leave:
    waited: float = 0.0
    tried: bool = False


class _NoBudget:
    """Grants at once."""

    def permit(self, account: str, limits: Limits, **_asked: Any) -> nullcontext[_Leave]:
        del account, limits
        return nullcontext(_Leave())

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        del account, seconds, reason, grows
        return datetime.now(UTC)

    def slow_down(self, account: str, remaining: int, seconds: float) -> None:
        """The source has no limit."""


@dataclass(frozen=True)
class _Bound:
    base_url: str
    auth: Auth = field(default_factory=lambda: HeaderAuth("Authorization", "Bearer ", "token"))
    limits: Limits = field(default_factory=Limits)
    webhooks: None = None
    stream_names: tuple[str, ...] = ()
    transport: Transport = "http"

    def stream(self, name: str) -> Stream:
        raise NotImplementedError(name)

    def discover(self) -> None:
        """It is known."""

    def failure(self, response: Response) -> HeadraceError | None:
        return None if response.status == 200 else HeadraceError("failed", str(response.status))


class _Moments:
    def connecting(self) -> None:
        """Nobody wants to know."""

    before_sending = answered = connecting

    def comes(self, size: int) -> None:
        """It is small."""
