"""Who used which power? A line for each use, in the transaction of the use itself: neither is there without the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from scheduler.access.person import person
from scheduler.access.principal import Principal
from scheduler.access.store import queries


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and in which request."""

    name: str
    token_id: UUID | None = None
    environment: str | None = None
    request_id: str | None = None
    source: str | None = None

    @classmethod
    def of(cls, who: Principal, *, request_id: str | None, source: str | None) -> "Actor":
        return cls(who.owner, who.token_id, who.environment, request_id, source)


COMMAND_LINE = Actor("cli")


def note_act(
    connection: psycopg.Connection[DictRow],
    actor: Actor,
    action: str,
    target: str,
    *,
    about: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note it in the caller's transaction. `about` is the connection's row it is about; `detail` never holds a secret.

    Of the command line, which shows no token, the detail says who was at it.
    """
    row = about or {}
    by = person() if actor == COMMAND_LINE else {}
    connection.execute(
        queries.note_act,
        {
            "actor": actor.name,
            "token_id": actor.token_id,
            "environment": row.get("environment", actor.environment),
            "tenant": row.get("tenant"),
            "action": action,
            "target": target,
            "connection_id": row.get("id"),
            "request_id": actor.request_id,
            "source": actor.source,
            "detail": Jsonb({**by, **(detail or {})}),
        },
    )
