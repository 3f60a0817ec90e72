"""The API in the test's own process, without a socket before it."""

import asyncio
from copy import copy
from typing import Any

import httpx
from servers.installation.api import TOKEN

from scheduler.access.first import keep_first
from scheduler.api.app import create_app
from worker.db.database import Database


class Application:
    """Its routes on this database; `token` is what a client shows."""

    def __init__(self, database: Database, token: str = TOKEN) -> None:
        keep_first(database, TOKEN)
        self._transport = httpx.ASGITransport(create_app(database))
        self._headers = {"Authorization": f"Bearer {token}"}

    def shown(self, token: str | None) -> "Application":
        """The same application, for a client that shows another token, or none."""
        other = copy(self)
        other._headers = {"Authorization": f"Bearer {token}"} if token else {}
        return other

    def coming_from(self, address: str) -> "Application":
        """The same application, for a client at this address."""
        other = copy(self)
        other._transport = httpx.ASGITransport(self._transport.app, client=(address, 1))
        return other

    def end(self) -> None:
        """As a server stops it: what webhooks told of is counted, and its connections are given back."""

        async def ended() -> None:
            app: Any = self._transport.app
            async with app.router.lifespan_context(app):
                pass

        asyncio.run(ended())

    @property
    def transport(self) -> httpx.BaseTransport:
        """The same for a client that waits for its answers."""
        return _Direct(self._transport)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = self._headers | more.pop("headers", {})

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://api") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(asked())

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.ask("GET", path, params=params or None)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.ask("POST", path, json=body)

    def read(self, path: str, **params: Any) -> Any:
        """What is there; it must be."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()


class _Direct(httpx.BaseTransport):
    def __init__(self, transport: httpx.ASGITransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def answered() -> httpx.Response:
            response = await self._transport.handle_async_request(request)
            return httpx.Response(
                response.status_code,
                headers=response.headers,
                content=await response.aread(),
                request=request,
            )

        return asyncio.run(answered())
