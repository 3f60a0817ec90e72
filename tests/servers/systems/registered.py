"""Webhooks that are wanted at a system, and a beat that looks after them when a test says so."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from servers.systems.hooking import Hooking

from scheduler.access.audit import COMMAND_LINE
from scheduler.health.looks import Finding
from scheduler.webhooks.registering.tending import tend_registrations
from scheduler.webhooks.registering.wishes import (
    look_at_registrations,
    register_webhooks,
    unregister_webhooks,
)
from worker.services import Services

PUBLIC = "https://headrace.example.com"


@dataclass
class Plant:
    """A connection to a system at which webhooks are registered, and a beat that looks after them."""

    services: Services
    id: int

    @property
    def url(self) -> str:
        return f"{PUBLIC}/webhooks/{self.id}"

    def register(self, public_url: str | None = PUBLIC) -> str:
        database, registry = self.services.database, self.services.registry
        return register_webhooks(database, registry, self.id, public_url=public_url, actor=COMMAND_LINE)

    def unregister(self) -> int:
        return unregister_webhooks(self.services.database, self.id, actor=COMMAND_LINE)

    def later(self) -> None:
        """When whatever is to be looked at is due."""
        self.services.database.run("UPDATE webhook_registrations SET next_at = now()")
        tend_registrations(self.services)

    @property
    def row(self) -> dict[str, Any] | None:
        found = self.services.database.one("SELECT * FROM webhook_registrations")
        return None if found is None else dict(found)

    def states(self) -> tuple[str, int]:
        row = self.row
        assert row is not None
        return row["state"], row["attempts"]

    def findings(self) -> list[Finding]:
        return list(look_at_registrations(self.services.database))


@dataclass
class HookingPlant(Plant):
    """The same of the system that loses answers, disables and forgets."""

    system: Hooking


Make = Callable[..., HookingPlant]
