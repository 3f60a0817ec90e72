"""The routes of streams: how each is doing, and what is set of it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from scheduler.api.etag import refuse_stale, tag
from scheduler.api.routes.connections import shapes
from scheduler.api.routes.connections.bodies import JsonBody, changed_stream
from scheduler.api.routes.connections.connections import ConnectionId, editor_of
from scheduler.api.who import ADMIN, READ, connection_of
from scheduler.connections.current import CurrentConnection
from scheduler.connections.editing.body import Mistaken
from scheduler.connections.editing.edit import change_connection
from scheduler.connections.editing.shown import read_shown
from scheduler.connections.options.schedule import file_schedule, format_history
from scheduler.connections.options.table import file_options
from scheduler.connections.resolve import find_stream, streams_of
from scheduler.connections.systems import known_systems
from worker.db.database import Database
from worker.errors import InvalidInput

StreamName = Annotated[str, Path(min_length=1, max_length=200)]
_AS_THEY_STAND = ("next_run_at", "wait_reason", "last_outcome", "last_finished_at", "last_success_at", "failures",
                  "history_done_at")  # fmt: skip


def streams_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connections/{connection_id}/streams", tags=["connections"])

    def one(found: Mapping[str, Any], stream: str) -> dict[str, Any]:
        shown = read_shown(database, known_systems(), found["id"])
        return {"connection": found["name"], "name": stream, **shown["streams"][stream]}

    @router.get("", dependencies=READ, response_model=shapes.Streams)
    def streams(connection_id: ConnectionId, request: Request) -> dict[str, Any]:
        """Its streams by name: what is set of each, and how it is doing."""
        found = connection_of(request, database, connection_id)
        rows = streams_of(database, found["id"])
        return {"connection": found["name"], "streams": [_listed(row) for row in rows]}

    @router.get("/{stream}", dependencies=READ, response_model=shapes.NamedStream)
    def stream(
        connection_id: ConnectionId, stream: StreamName, request: Request, response: Response
    ) -> dict[str, Any]:
        """What is set of one stream. Its `ETag` goes into `If-Match` of a change."""
        found = connection_of(request, database, connection_id)
        find_stream(database, found, stream)
        shown = one(found, stream)
        tag(response, shown)
        return shown

    @router.patch(
        "/{stream}", dependencies=ADMIN, response_model=shapes.NamedStream, openapi_extra=changed_stream()
    )
    def change(
        connection_id: ConnectionId, stream: StreamName, body: JsonBody, request: Request, response: Response
    ) -> dict[str, Any]:
        """Change its interval, its history or an option, or switch it on or off. null: as its system has it by default."""
        found = connection_of(request, database, connection_id)
        find_stream(database, found, stream)

        def look(_: CurrentConnection) -> None:
            refuse_stale(request, one(found, stream))

        try:
            patch = {"streams": {stream: body.data}}
            change_connection(database, known_systems(), found["id"], patch, editor_of(request), look=look)
        except Mistaken as wrong:
            raise Mistaken([_of_the_stream(each, stream) for each in wrong.problems]) from None
        shown = one(found, stream)
        tag(response, shown)
        return shown

    return router


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "enabled": row["enabled"],
        "schedule": file_schedule(row["schedule"]),
        "history": format_history(row["history_days"]),
        **file_options(row["options"]),
        **{name: row[name] for name in _AS_THEY_STAND},
        "open_run": row["open_state"],
        "error": {"code": row["last_error_code"], "words": row["last_error"]} if row["failures"] else None,
    }


def _of_the_stream(problem: InvalidInput, stream: str) -> InvalidInput:
    """Its place as the client sees it, whose body is the stream."""
    place = (problem.place or "").replace(f"body.streams.{stream}", "body", 1)
    return InvalidInput(problem.code, problem.message, place=place or None, hint=problem.hint)
