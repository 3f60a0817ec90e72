"""The routes that try a connection out: does its system answer, what may be read, and what else is there?"""

from typing import Any

from fastapi import APIRouter, Request

from scheduler.api.problems import REQUEST_ID
from scheduler.api.routes.connections import shapes
from scheduler.api.routes.connections.connections import ConnectionId
from scheduler.api.who import SYNC, connection_of, principal_of
from scheduler.connections.systems import known_systems
from scheduler.connections.trial.discovery import discoverer
from scheduler.connections.trial.room import room
from scheduler.connections.trial.trial import Candidate, trial_sender, try_connection
from worker.config import load_settings
from worker.db.database import Database
from worker.errors import HeadraceError, InvalidInput


def trials_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connections", tags=["connections"])

    @router.post("/{connection_id}/test", dependencies=SYNC, response_model=shapes.Trial)
    def test(connection_id: ConnectionId, request: Request) -> dict[str, Any]:
        """Open its secrets, ask its system for a little of each stream, and say what was found. 200 whatever that is."""
        found = connection_of(request, database, connection_id)
        whose = str(principal_of(request).token_id)
        with room.place(whose), trial_sender(database, load_settings()) as sender:
            report = try_connection(
                sender,
                known_systems(),
                Candidate.of(database, found),
                request_id=getattr(request.state, REQUEST_ID),
            )
        return {"connection": found["name"], "summary": report.summary(), **report.as_json()}

    @router.get("/{connection_id}/discovery", dependencies=SYNC, response_model=shapes.Discovered)
    def discovery(connection_id: ConnectionId, request: Request) -> dict[str, Any]:
        """Ask its system what could be synced: 200, and `problem` where it can't say it, or doesn't."""
        connection = connection_of(request, database, connection_id)
        shape: dict[str, Any] = {"connection": connection["name"], "system": connection["system"]}
        whose = str(principal_of(request).token_id)
        candidate = Candidate.of(database, connection)
        try:
            asking = discoverer(known_systems(), candidate)
        except InvalidInput as exc:
            return {**shape, "streams": [], "problem": _problem(exc)}
        with room.place(whose), trial_sender(database, load_settings()) as sender:
            try:
                found = asking.ask(sender, getattr(request.state, REQUEST_ID))
            except HeadraceError as exc:
                return {**shape, "streams": [], "problem": _problem(exc)}
        return {**shape, "streams": [each.as_json() for each in found], "problem": None}

    return router


def _problem(error: HeadraceError) -> dict[str, Any]:
    return {"code": error.code, "words": error.message, "hint": error.hint}
