"""The demo system's own API and plant, behind a double's door: its clock stands still, and trouble comes on request."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from scheduler.connectors.check import Answer, Call, Double, Table, epoch, moment
from scheduler.embedded.demo.api.app import build_app
from scheduler.embedded.demo.options import DemoOptions
from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, Record
from scheduler.embedded.demo.system import System

TOKEN = "double/token+of the demo"
SMALL = 0.001


class Demo(Double):
    """A small plant, and what is made in it."""

    system = "demo"
    secrets: ClassVar[Mapping[str, str]] = {"token": TOKEN, "webhook_secret": "whsec_ZG91YmxlLXNlY3JldA=="}
    tables: ClassVar[Mapping[str, Table]] = {name: Table() for name in ENTITIES}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._loop = asyncio.new_event_loop()
        plant = Plant(seed=7, factor=SMALL, clock=lambda: epoch(self.now))
        self._demo = System(DemoOptions(tokens=(TOKEN,), rate=0.0, requests=0), plant)
        self._app = build_app(self._demo)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._loop.close()

    def admits(self, call: Call) -> bool:
        return call.headers.get("authorization") == f"Bearer {TOKEN}"

    def answer(self, call: Call) -> Answer:
        return self._loop.run_until_complete(self._asked(call))

    def create(self, stream: str, count: int = 1) -> list[str]:
        more = {"note": "x" * self.padding} if self.padding else {}
        with self._lock:
            return [str(self._demo.make(stream, more)["id"]) for _ in range(count)]

    def change(self, stream: str, *keys: str) -> None:
        more = {"added_by_a_release": {"since": [7]}} if self.drifted else {}
        with self._lock:
            for key in keys:
                self.serial += 1
                self._commit(Change(stream, self._id(stream, key), {"note": f"edited {self.serial}", **more}))

    def delete(self, stream: str, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._commit(Change(stream, self._id(stream, key), {}, "delete"))

    def truth(self, stream: str) -> dict[str, Any]:
        with self._lock:
            heads = self._demo.plant.store.heads(stream)
            return {str(record["id"]): record for record in heads if record["deleted_at"] is None}

    def changed_at(self, stream: str, key: str) -> datetime | int | None:
        return moment(self.truth(stream)[key]["updated_at"])

    def spoil_one(self, stream: str) -> bool:
        """It can't."""
        del stream
        return False

    def _commit(self, change: Change) -> Record:
        return self._demo.commit(change)

    def _id(self, stream: str, key: str) -> Any:
        return ENTITIES[stream].parse_id(key)

    async def _asked(self, call: Call) -> Answer:
        status, headers, body = 500, dict[str, str](), b""

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": call.body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                body += message.get("body", b"")

        scope = {
            "type": "http", "method": call.method, "path": call.path, "query_string": call.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in call.headers.items()],
            "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("127.0.0.1", 80),
        }  # fmt: skip
        await self._app(scope, receive, send)
        kept = {name: value for name, value in headers.items() if name not in {"content-length", "date"}}
        return Answer(status, body, kept)
