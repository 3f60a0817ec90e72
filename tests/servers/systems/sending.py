"""A budget that notes what is asked of it, and a source that fails by status: what a sender is tried with."""

import base64
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from worker.connectors.contract import Limits, Request, Response, Stream
from worker.errors import HeadraceError, NeedsOperator, RateLimited
from worker.http import CallContext, Sender
from worker.limits.policy import Call
from worker.telemetry.steps import Steps

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "planted-pass/word"
Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Leave:
    waited: float = 0.0
    tried: bool = False


@dataclass
class Budget:
    taken: list[tuple[str, int, int]] = field(default_factory=list)
    held: list[tuple[str, float, str]] = field(default_factory=list)
    slowed: list[tuple[str, int, float]] = field(default_factory=list)
    in_use: int = 0
    failed: int = 0
    """Permits that were returned by an exception."""
    held_in_use: list[int] = field(default_factory=list)
    refuse: bool = False

    @contextmanager
    def permit(
        self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3, call: Call | None = None
    ) -> Iterator[Leave]:
        if self.refuse:
            raise RateLimited("budget_exhausted", "wait", resume_at=NOW)
        self.taken.append((account, cost, lane))
        self.in_use += 1
        try:
            yield Leave()
        except BaseException:
            self.failed += 1
            raise
        finally:
            self.in_use -= 1

    def slow_down(self, account: str, remaining: int, seconds: float) -> None:
        self.slowed.append((account, remaining, seconds))

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        self.held.append((account, seconds, reason))
        self.held_in_use.append(self.in_use)
        return NOW + timedelta(seconds=seconds)


class BasicWithLogin:
    """Logs in by Basic, goes on with the token."""

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        if "token" not in held:
            proof = base64.b64encode(f"user:{secrets['password']}".encode()).decode()
            answer = yield Request("POST", "login", headers={"Authorization": f"Basic {proof}"}, body=b"")
            held["token"] = answer.body.decode()
        yield Request(
            request.method,
            request.url,
            request.params,
            {"X-Token": held["token"]},
            request.body,
            request.cost,
        )


class Open:
    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        yield request


@dataclass
class Plant:
    """A source whose answers fail by status, in the system's words."""

    auth: Any = field(default_factory=Open)
    base_url: str = "https://plant.example.com/api"
    limits: Limits = field(default_factory=Limits)
    says: HeadraceError | None = None
    transport: str = "http"

    def stream(self, name: str) -> Stream:
        raise NotImplementedError

    def failure(self, response: Response) -> HeadraceError | None:
        if self.says is not None:
            return self.says
        if response.status >= 400:
            return NeedsOperator(
                "refused", f"It said {response.status}: {response.body.decode()}", hint=response.body.decode()
            )
        return None


def context(source: Plant | None = None, **given: Any) -> CallContext:
    settings = {
        "connection_id": 7,
        "account": "acme",
        "lane": 2,
        "source": source or Plant(),
        "secrets": {},
        "request_id": "req-1",
        "steps": Steps(),
    }
    return CallContext(**{**settings, **given})


SenderOf = Callable[[Handler], Sender]
