"""Who asks, what a route asks of them, and which connections there are for them.

Each route names the scope that it needs: `@router.post(…, dependencies=SYNC)`. One that names none is refused at the
start of the program. A connection that somebody doesn't see isn't there for them: the answer is that of a name that
nobody has.
"""

from typing import Any

from fastapi import Depends, Request

from scheduler.access.audit import Actor
from scheduler.access.principal import Principal, Scope
from scheduler.api.problems import REQUEST_ID, Forbidden
from scheduler.connections.resolve import find_connection
from worker.db.database import Database

PRINCIPAL = "principal"
"""Where the guard keeps them in `request.state`."""
SOURCE = "source"
"""The address that they ask from, also on open paths; None: unknown."""
SESSION = "session"
"""The value of their cookie, where it was one that let them in."""


class Needs:
    """The dependency that a route names."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: Request) -> None:
        if not principal_of(request).may(self.scope):
            raise Forbidden(self.scope)


READ = [Depends(Needs(Scope.READ))]
SYNC = [Depends(Needs(Scope.SYNC))]
WRITE = [Depends(Needs(Scope.WRITE))]
ADMIN = [Depends(Needs(Scope.ADMIN))]


def principal_of(request: Request) -> Principal:
    """Who asks. Only behind the guard."""
    who: Principal = getattr(request.state, PRINCIPAL)
    return who


def actor_of(request: Request) -> Actor:
    """The same, for the audit log."""
    return Actor.of(
        principal_of(request),
        request_id=getattr(request.state, REQUEST_ID),
        source=source_of(request),
    )


def source_of(request: Request) -> str | None:
    """The address that a request comes from, also through the proxies that are trusted."""
    source: str | None = getattr(request.state, SOURCE, None)
    return source


def connection_of(request: Request, database: Database, text: str) -> dict[str, Any]:
    """The connection of that name or number, as far as it exists for whoever asks; `NotFound` else."""
    return find_connection(database, text, principal_of(request).view)
