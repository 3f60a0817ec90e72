"""Whose webhook is it, and which secrets prove it? Looked up on a thread and held for a short while.

A name that nobody has is held, too, so that asking for it costs what asking for another does. What was refused is looked
at once more with fresh secrets, since they may have been rotated, but no connection more often than every two seconds.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from scheduler.connections.systems import known_systems, source_of
from scheduler.webhooks.storing import sql
from worker.connectors.contract import Webhooks
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.secrets import Secret, StoreUnavailable, open_secret

log = structlog.get_logger()

FRESH = 5.0
"""Seconds for which what was found is used as it is; after that it is used and looked up anew."""
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Door:
    """Where one connection's webhooks come in."""

    connection_id: int
    webhooks: Webhooks
    streams: Mapping[str, int]
    secrets: Mapping[str, Secret] = field(repr=False)


@dataclass(slots=True)
class _Held:
    door: Door | None
    at: float
    looking: "asyncio.Task[Door | None] | None" = None


class Doors:
    """All doors of a process. Used on its event loop alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: OrderedDict[str, _Held] = OrderedDict()

    async def find(self, name: str) -> Door | None:
        """The door of that name or number; None: there is none."""
        held = self._held.get(name)
        if held is None:
            return await self._look(name, fresh=False)
        if time.monotonic() - held.at > FRESH:
            if time.monotonic() - held.at > 12 * FRESH:
                return await self._look(name, fresh=False)
            self._begin(name, fresh=False)
        return held.door

    async def find_again(self, name: str) -> Door | None:
        """The same with fresh secrets, if it wasn't looked up just now; None: nothing else is known.

        Of a name that nobody had, too: its connection may have been made meanwhile.
        """
        held = self._held.get(name)
        if held is None or time.monotonic() - held.at < 2.0:
            return None
        return await self._look(name, fresh=True)

    async def _look(self, name: str, *, fresh: bool) -> Door | None:
        return await asyncio.shield(self._begin(name, fresh=fresh))

    def _begin(self, name: str, *, fresh: bool) -> "asyncio.Task[Door | None]":
        held = self._held.setdefault(name, _Held(None, float("-inf")))
        if held.looking is None or held.looking.done():
            held.looking = asyncio.create_task(self._load(name, held, fresh=fresh))
            held.looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return held.looking

    async def _load(self, name: str, held: _Held, *, fresh: bool) -> Door | None:
        try:
            held.door = await asyncio.to_thread(open_door, self._database, name, fresh=fresh)
        except HeadraceError:
            if held.at == float("-inf"):
                self._held.pop(name, None)
                raise
            return held.door  # what is held serves while Postgres or a store is away
        held.at = time.monotonic()
        self._held.move_to_end(name)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return held.door


def open_door(database: Database, name: str, *, fresh: bool = False) -> Door | None:
    """Look a connection up and open the secrets that prove its webhooks."""
    number = int(name) if name.isascii() and name.isdecimal() and len(name) < 19 else 0
    row = database.one(sql.find_webhook_connection, {"given": name.replace("\0", ""), "number": number})
    if row is None:
        return None
    try:
        webhooks = source_of(known_systems(), row).webhooks
    except HeadraceError as exc:
        log.warning("webhook_connection_unusable", connection_id=row["id"], error=exc.code)
        return None
    if webhooks is None:
        return None
    secrets: dict[str, Secret] = {}
    for wanted in webhooks.secret_names:
        if (reference := row["secrets"].get(wanted)) is not None:
            try:
                secrets[wanted] = _opened(reference, row["environment"], fresh=fresh)
            except HeadraceError as exc:  # another of several may do
                log.warning(
                    "webhook_secret_unresolved", connection_id=row["id"], secret=wanted, error=exc.code
                )
    return Door(row["id"], webhooks, row["streams"], secrets)


def _opened(reference: str, environment: str, *, fresh: bool) -> Secret:
    """Whoever sends nonsense while a store is away has it asked anew, and takes nothing from us that we hold."""
    try:
        return open_secret(reference, environment=environment, fresh=fresh)
    except StoreUnavailable:
        if not fresh:
            raise
        return open_secret(reference, environment=environment)
