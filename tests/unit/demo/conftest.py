"""A demo system asked without a socket, with a clock that the test sets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from scheduler.embedded.demo.api.app import build_app
from scheduler.embedded.demo.options import DemoOptions
from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.plant.schema import parse_iso
from scheduler.embedded.demo.system import System

EPOCH = parse_iso("2026-03-01T12:00:00.000Z")
CONTROL = {"X-Control-Token": "control-secret"}


class Demo:
    """A demo system and a client; `call` runs one request to its end."""

    def __init__(self, **options: Any) -> None:
        self.now = EPOCH
        chosen: dict[str, Any] = {
            "tokens": ("first", "second"),
            "control_token": "control-secret",
            "rate": 0.0,
            "factor": 0.1,
        }
        self.options = DemoOptions(**(chosen | options))
        plant = Plant(seed=7, factor=self.options.factor, clock=lambda: self.now, epoch=EPOCH)
        self.system = System(self.options, plant)
        self.app = build_app(self.system)

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
                return await work(client)

        return asyncio.run(inside())

    def get(self, path: str, token: str = "first", **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        path = path if path.startswith(("/", "http:")) else f"/api/v1/{path}"
        return self.run(lambda client: client.get(path, params=params or None, headers=headers))  # type: ignore[no-any-return]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        response = self.run(
            lambda client: client.request(method, f"/control/{path}", json=body, headers=CONTROL)
        )
        assert response.is_success, response.text
        return response.json()

    def truth(self, entity: str) -> list[dict[str, Any]]:
        return self.control("GET", f"truth?entity={entity}")["records"]  # type: ignore[no-any-return]

    def walk(self, entity: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(entity, **params).json()
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]


@pytest.fixture
def demo() -> Demo:
    return Demo()
