"""The routes of connections: make, read, change, delete."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from scheduler.api.etag import refuse_stale, tag
from scheduler.api.lists.filters import Shown
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.routes.connections import shapes
from scheduler.api.routes.connections.bodies import JsonBody, changed_connection, new_connection
from scheduler.api.shapes import NO_NUL
from scheduler.api.who import ADMIN, READ, actor_of, connection_of, principal_of
from scheduler.connections.current import CurrentConnection
from scheduler.connections.editing.disconnect import disconnect
from scheduler.connections.editing.edit import Editor, change_connection, create_connection
from scheduler.connections.editing.shown import read_shown
from scheduler.connections.remove import remove_connection
from scheduler.connections.resolve import list_connections
from scheduler.connections.systems import known_systems
from worker.db.database import Database

ConnectionId = Annotated[str, Path(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]


def editor_of(request: Request) -> Editor:
    """Who edits in this request."""
    return Editor(actor_of(request), principal_of(request))


def connections_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connections", tags=["connections"])
    _add_reading(router, database)
    _add_editing(router, database)
    return router


def _tagged(database: Database, connection_id: int, response: Response) -> dict[str, Any]:
    shown = read_shown(database, known_systems(), connection_id)
    tag(response, shown)
    return shown


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("", dependencies=READ, response_model=shapes.Connections)
    def connections(
        shown: Shown,
        system: Annotated[Text | None, Query()] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Connections that the token sees, by name, each with what its streams are up to."""
        name, number = read_cursor(cursor, str, int)
        rows = list_connections(
            database,
            limit=limit + 1,
            after=(name or "", number or 0),
            system=system,
            view=shown,
        )
        return page_of("connections", rows, limit, by=lambda row: (row["name"], row["id"]))

    @router.get("/{connection_id}", dependencies=READ, response_model=shapes.ConnectionShape)
    def connection(connection_id: ConnectionId, request: Request, response: Response) -> dict[str, Any]:
        """What is set of a connection, and of its streams. Its `ETag` goes into `If-Match` of a change."""
        found = connection_of(request, database, connection_id)
        return _tagged(database, found["id"], response)


def _add_editing(router: APIRouter, database: Database) -> None:
    @router.post(
        "",
        status_code=201,
        dependencies=ADMIN,
        response_model=shapes.ConnectionShape,
        openapi_extra=new_connection(),
    )
    def create(body: JsonBody, request: Request, response: Response) -> dict[str, Any]:
        """Make a connection: an entry of the connections file, without the `id`. All its streams are due at once."""
        created = create_connection(database, known_systems(), body, editor_of(request))
        response.headers["Location"] = f"/v1/connections/{created}"
        return _tagged(database, created, response)

    @router.patch(
        "/{connection_id}",
        dependencies=ADMIN,
        response_model=shapes.ConnectionShape,
        openapi_extra=changed_connection(),
    )
    def change(
        connection_id: ConnectionId, body: JsonBody, request: Request, response: Response
    ) -> dict[str, Any]:
        """Change what the body names (a merge patch, RFC 7396). `schedule`, `history` and options change all streams."""
        found = connection_of(request, database, connection_id)

        def look(_: CurrentConnection) -> None:
            refuse_stale(request, read_shown(database, known_systems(), found["id"]))

        change_connection(database, known_systems(), found["id"], body.data, editor_of(request), look=look)
        return _tagged(database, found["id"], response)

    @router.delete("/{connection_id}", dependencies=ADMIN, response_model=shapes.Removed)
    def delete(
        connection_id: ConnectionId,
        request: Request,
        data: Annotated[Literal["keep", "delete"], Query()],
    ) -> dict[str, Any]:
        """`data=delete`: it goes with all records, runs and history. `data=keep`: it is disconnected for good, its secrets are
        forgotten, and its records stay readable.
        """
        found = connection_of(request, database, connection_id)
        if data == "keep":
            streams = disconnect(database, found["id"], actor_of(request))
            return {"connection": found["name"], "data": data, "streams": streams, "records": 0}
        gone = remove_connection(database, found["name"], found["environment"], actor=actor_of(request))
        return {
            "connection": gone.name,
            "data": data,
            "streams": gone.streams,
            "records": gone.records,
        }
