"""Whoever asks, as far as the API is concerned: what may they do, and what do they see? Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Scope(StrEnum):
    """What a token may be used for. `admin` does everything; the others hold just what they say, and `read`."""

    READ = "read"
    SYNC = "sync"
    """Ask for syncs, cancel and retry runs, replay events."""
    WRITE = "write"
    """Write records back to their systems."""
    ADMIN = "admin"
    """Change connections and tokens."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody with a valid token."""

    token_id: UUID
    owner: str
    environment: str
    """live or test: nothing of the other is seen."""
    scopes: frozenset[Scope]
    connections: frozenset[int] | None = None
    """None: all that its environment and tenants leave."""
    tenants: frozenset[str] | None = None
    """None: of all customers, and of none. Limited to some: their later connections, too."""
    secret_prefixes: tuple[str, ...] | None = None
    """References that it may point a connection at; None: any that its environment allows, for a principal without limits
    to connections or tenants, else none."""
    networks: tuple[str, ...] | None = None
    """Where requests with it come from; None: from anywhere."""
    expires_at: datetime | None = None
    warning: str | None = None
    """What its owner should know: it ends soon, or is old."""

    def may(self, scope: Scope) -> bool:
        return Scope.ADMIN in self.scopes or scope in self.scopes or scope is Scope.READ

    def sees(self, connection: Mapping[str, Any]) -> bool:
        """Whether a connection's row (`id`, `environment`, `tenant`) exists for them at all."""
        return (
            connection["environment"] == self.environment
            and (self.tenants is None or connection["tenant"] in self.tenants)
            and (self.connections is None or connection["id"] in self.connections)
        )

    @property
    def limited(self) -> bool:
        """Whether it sees only some connections of its environment."""
        return self.connections is not None or self.tenants is not None

    @property
    def view(self) -> dict[str, Any]:
        """Parameters for lists: `headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)`."""
        return {
            "environment": self.environment,
            "tenants": None if self.tenants is None else sorted(self.tenants),
            "connections": None if self.connections is None else sorted(self.connections),
            "labels": None,
        }


EVERYTHING: Mapping[str, Any] = {"environment": None, "tenants": None, "connections": None, "labels": None}
"""The same parameters for the command line, which has the database anyway."""
