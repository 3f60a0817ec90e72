"""The demo system inside this process: a test can stop its clock, change it between two bytes of a request, and see all.

It answers over a real socket. Its clock stands still unless it is told to go on, so records that are changed one after the
other bear the same time until somebody says otherwise.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.embedded.demo.api.app import build_app
from scheduler.embedded.demo.options import DemoOptions
from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.plant.schema import Change, Record, RecordId
from scheduler.embedded.demo.system import System

TOKEN = "token-of-the-source"
WHEN = Literal["before", "after"]


@dataclass
class Ambush:
    """Something that happens at the `nth` request from now: before it is answered, or before its answer leaves."""

    nth: int
    when: WHEN
    act: Callable[[], None]


@dataclass
class Source:
    """Serves one plant at a time. What changes it from another thread goes through `on_loop`."""

    loop: asyncio.AbstractEventLoop
    base_url: str
    ambushes: list[Ambush] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    moment: int = 0
    versions: dict[tuple[str, str], list[Record | None]] = field(default_factory=dict)
    """All that each record has been, in the order in which it could be seen; None: it was gone."""
    _app: ASGIApp | None = None
    _system: System | None = None

    def begin(self, *, seed: int, factor: float, epoch: int) -> None:
        """A plant of its own for one test, whose clock stands at `epoch` (milliseconds)."""
        self.moment = epoch
        self.ambushes.clear()
        self.asked.clear()
        plant = Plant(seed=seed, factor=factor, clock=lambda: self.moment, epoch=epoch)
        self._system = System(DemoOptions(tokens=(TOKEN,), rate=0.0, requests=0), plant)
        self._remember(plant)
        self._app = build_app(self._system)

    def _remember(self, plant: Plant) -> None:
        """Note every version at the moment at which it appears."""
        self.versions.clear()
        show = plant.store._show

        def showing(batch: list[tuple[str, Record]]) -> None:
            for entity, record in batch:
                gone = record["deleted_at"] is not None or "purged_at" in record
                self.versions.setdefault((entity, str(record["id"])), []).append(None if gone else record)
            show(batch)

        plant.store._show = showing  # type: ignore[method-assign]
        for entity, shelf in plant.store.shelves.items():
            for record in plant.store.heads(entity):
                gone = shelf.items[record["id"]].deleted
                self.versions[entity, str(record["id"])] = [None if gone else record]

    @property
    def system(self) -> System:
        assert self._system is not None
        return self._system

    def on_loop(self, act: Callable[[System], Any]) -> Any:
        """Carry something out where nothing else touches the plant."""

        async def inside() -> Any:
            return act(self.system)

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(timeout=20)

    def advance(self, milliseconds: int) -> None:
        self.moment += milliseconds
        self.on_loop(lambda system: system.plant.now())

    def commit(self, *changes: Change, late: int = 0) -> list[Record]:
        """Changes at one moment; `late`: they show only so many milliseconds later."""
        batch = self.on_loop(lambda system: system.plant.commit(changes, late=late, skew=system.skew(None)))
        return [record for _, record in batch]

    def create(self, entity: str, **fields: Any) -> Record:
        made: Record = self.on_loop(lambda system: system.make(entity, fields))
        return made

    def restamp(self, entity: str, count: int) -> None:
        """So many records get one and the same `updated_at`."""
        self.on_loop(lambda system: system.plant.restamp(entity, count))

    def fault(self, **faults: Any) -> None:
        self.on_loop(lambda system: system.faults.set(faults, system.plant.now()))

    def clear_faults(self) -> None:
        self.on_loop(lambda system: [system.faults.clear(n) for n in [*FLEETING]])

    def ids(self, entity: str, *, gone: bool = False) -> list[RecordId]:
        """Of what is there as the plant itself knows it; with `gone`, of what could be restored."""

        def find(system: System) -> list[RecordId]:
            store = system.plant.store
            if not gone:
                return [record["id"] for record in store.heads(entity) if record["deleted_at"] is None]
            return [
                record["id"]
                for record in store.everything(entity)
                if record["deleted_at"] is not None or "purged_at" in record
            ]

        found: list[RecordId] = self.on_loop(find)
        return found

    def anything(self, entity: str, record_id: RecordId) -> Record:
        """A record as it was last, whether it is there or not."""
        return self.on_loop(  # type: ignore[no-any-return]
            lambda system: (
                system.plant.store.head(entity, record_id) or system.plant.store.grave(entity, record_id)
            )
        )

    def truth(self, entity: str) -> dict[str, Record]:
        """Everything that is there, by key."""
        return self.on_loop(  # type: ignore[no-any-return]
            lambda system: {
                str(record["id"]): record
                for record in system.plant.store.heads(entity)
                if record["deleted_at"] is None
            }
        )

    def settle(self) -> None:
        """Let all that is late appear."""
        while self.on_loop(lambda system: system.plant.store.pending):
            self.advance(60_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")
        query = scope["query_string"].decode()
        self.asked.append(f"{scope['path']}?{query}" if query else scope["path"])
        due = self._due()
        await self._spring(due, "before")
        if not any(ambush.when == "after" for ambush in due):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        await self._spring(due, "after")
        for message in held:
            await send(message)

    def _due(self) -> list[Ambush]:
        for ambush in self.ambushes:
            ambush.nth -= 1
        due = [ambush for ambush in self.ambushes if ambush.nth <= 0]
        self.ambushes[:] = [ambush for ambush in self.ambushes if ambush.nth > 0]
        return due

    async def _spring(self, due: list[Ambush], when: WHEN) -> None:
        for ambush in due:
            if ambush.when == when:
                await asyncio.to_thread(ambush.act)  # it may come back here by `on_loop`, or by a request


FLEETING = ("error_rate", "truncated_body", "malformed_json", "empty_list", "cut_short", "dropped_page", "bad_record",
            "shifting_pages", "broken_filter", "mangled_field", "storm_429")  # fmt: skip


@contextmanager
def running_source() -> Iterator[Source]:
    """The server for a whole session; each test begins a plant of its own in it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    source = Source(loop, f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        source, log_config=None, log_level=None, access_log=False, lifespan="off", date_header=False
    )
    server = uvicorn.Server(config)
    serving = threading.Thread(
        target=lambda: loop.run_until_complete(server.serve(sockets=[listener])), name="source", daemon=True
    )
    serving.start()
    try:
        yield source
    finally:
        server.should_exit = True
        serving.join(timeout=10)
        listener.close()
        loop.close()
