"""Systems that send webhooks to an API in the test's own process: one for each way in which they are proved."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb
from servers.installation.application import Application
from servers.systems.telling import manifest_text

from scheduler.webhooks import doors
from worker.connectors.registry import Registry
from worker.db.database import Database

SECRET = "the-secret-of-the-hook"
FULL = [{"type": "gone", "stream": "parts", "key": "id", "deleted": True, "believed": True},
        {"type": "part", "stream": "parts", "record": "row"},
        {"type": "hint", "stream": "parts", "key": "id"},
        {"type": "any", "stream": "parts"}]  # fmt: skip
SYSTEMS: Mapping[str, Mapping[str, Any] | None] = {
    "telling": {"id": {"header": "X-Id"}},
    "pathing": {
        "verify": {"path": {"secret": "hook"}},
        "handshake": {"echo": {"param": "validationToken"}, "probe": True},
    },
    "fielding": {"verify": {"field": {"path": "state", "secret": "hook"}}},
    "heading": {"verify": {"header": {"name": "X-Token", "secret": "hook"}}},
    "either": {"verify": {"hmac": {"secret": ["next", "hook"], "header": "X-Signature"}}},
    "silent": None,
    "whole": {"id": {"header": "X-Id"}, "type": "kind", "at": "when", "events": FULL},
}
"""What each says of webhooks, beside the common manifest."""


@dataclass
class Door:
    """The API, and connections whose systems send to it."""

    database: Database
    api: Application
    registry: Registry
    patch: pytest.MonkeyPatch
    ids: dict[str, int] = field(default_factory=dict)

    def connect(
        self, system: str = "telling", *, name: str = "", secret: str | None = SECRET, **more: Any
    ) -> str:
        """A connection with two streams; its name."""
        name = name or f"{system}-{uuid4().hex[:8]}"
        secrets = {"hook": f"env://{self.variable(name)}"} if secret is not None else {}
        if secret is not None:
            self.rotate(name, secret)
        columns = {"name": name, "environment": "live", "system": system, "settings": Jsonb({}),
                   "secrets": Jsonb(secrets)} | more  # fmt: skip
        row = self.database.one(
            f"INSERT INTO connections ({', '.join(columns)})"
            f" VALUES ({', '.join(f'%({column})s' for column in columns)}) RETURNING id",
            columns,
        )
        assert row
        self.ids[name] = row["id"]
        self.database.run(
            """INSERT INTO streams (connection_id, name, bucket, schedule)
               VALUES (%(id)s, 'parts', 1, '{"every": 900}'), (%(id)s, 'orders', 2, '{"every": 900}')""",
            {"id": row["id"]},
        )
        return name

    def rotate(self, name: str, secret: str) -> None:
        """Another secret of a connection, or several lines of them."""
        self.patch.setenv(self.variable(name), secret)

    @staticmethod
    def variable(name: str) -> str:
        return "HOOK_" + hashlib.sha256(name.encode()).hexdigest()[:12].upper()

    def send(self, name: str, body: Any = None, **more: Any) -> httpx.Response:
        """One webhook, signed as `telling` does it; whatever else is given counts before that."""
        method, rest = more.pop("method", "POST"), more.pop("rest", "")
        return self.api.ask(method, f"/webhooks/{name}{rest}", **signed(body, **more))

    def during(self, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        """Several requests on one event loop, as a server has it."""

        async def inside() -> Any:
            async with httpx.AsyncClient(transport=self.api._transport, base_url="http://api") as client:
                return await work(client)

        return asyncio.run(inside())

    def events(self, name: str) -> list[dict[str, Any]]:
        return self.database.all(
            "SELECT * FROM events WHERE connection_id = %(id)s ORDER BY id", {"id": self.ids[name]}
        )

    def runs(self, name: str) -> list[dict[str, Any]]:
        return self.database.all("SELECT * FROM runs WHERE connection_id = %(id)s", {"id": self.ids[name]})

    def refusals(self, name: str) -> list[dict[str, Any]]:
        return self.database.all(
            "SELECT * FROM webhook_refusals WHERE connection_id = %(id)s ORDER BY id", {"id": self.ids[name]}
        )


def signed(
    body: Any = None,
    *,
    secret: str = SECRET,
    id_: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a request of `telling` holds."""
    content = body if isinstance(body, bytes) else json.dumps(body or {"id": "P-1"}).encode()
    signature = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    said = {"X-Signature": signature, "X-Id": id_ or uuid4().hex}
    return {"content": content, "headers": said | dict(headers or {}), **more}


async def in_pieces(content: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """A body without a length."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


@contextmanager
def later_at_the_door(seconds: float) -> Iterator[None]:
    """So much time has passed since connections were looked up; for nobody else."""
    at = time.monotonic() + seconds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doors, "time", SimpleNamespace(monotonic=lambda: at))
        yield


@contextmanager
def knocking(database: Database, folder: Path) -> Iterator[Door]:
    """The API of this database, which knows these systems."""
    for system, said in SYSTEMS.items():
        (folder / system).mkdir(parents=True, exist_ok=True)
        (folder / system / "manifest.yaml").write_text(manifest_text(said, system=system))
    registry = Registry.load([folder])
    assert not registry.problems()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doors, "known_systems", lambda: registry)
        api = Application(database).shown(None)
        yield Door(database, api, registry, patch)
        api.end()
