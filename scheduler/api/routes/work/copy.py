"""The routes about the copy as a whole: what it takes, and how far its streams are read."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from scheduler.api.who import ADMIN, READ, connection_of
from scheduler.connections.resolve import find_stream
from scheduler.connections.systems import known_systems
from scheduler.keeping.storage import look_at_room, read_storage
from scheduler.runs.cursors import cursors_of
from worker.db.database import Database

ConnectionId = Annotated[str, Path(min_length=1, max_length=200)]


class AmountShape(BaseModel):
    """Rows, and the bytes that they take; `exact` is false for what was told from a sample."""

    rows: int
    bytes: int
    exact: bool


class StreamStorageShape(BaseModel):
    """What one stream takes."""

    connection: str
    environment: str
    stream: str
    bytes: int
    records: AmountShape
    versions: AmountShape
    quarantine: AmountShape


class StorageShape(BaseModel):
    """What a connection takes."""

    connection: str
    streams: list[StreamStorageShape]


class RoomShape(BaseModel):
    """The database, and the disk that it is on where that can be seen. null: it can't be told."""

    bytes: int
    bytes_a_day: int | None
    disk_bytes: int | None
    disk_free: int | None
    days_left: float | None


class LateShape(BaseModel):
    """So many records came late, by up to so much."""

    grade: int
    records: int
    within: float | None


class CursorShape(BaseModel):
    """How far a stream is read. Of a cursor that is a time, distances are in seconds."""

    stream: str
    kind: str = Field(description="time, number, token, none or unknown")
    watermark: Any
    moved_at: datetime | None
    reading: bool
    overlap: float | None
    look_back: float | None
    least: float | None
    most: float | None
    late: list[LateShape]
    came_late: int
    p50: float | None
    p999: float | None
    without_cursor: int
    clock_skew: float
    warnings: list[str]


class CursorsShape(BaseModel):
    """How far the streams of a connection are read that are switched on."""

    connection: str
    cursors: list[CursorShape]


def copy_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1", tags=["records"])

    @router.get("/storage", dependencies=ADMIN, response_model=RoomShape)
    def room() -> dict[str, Any]:
        """How large the database is, how it grows, and when its disk is full."""
        return look_at_room(database).as_json()

    @router.get("/connections/{connection_id}/storage", dependencies=READ, response_model=StorageShape)
    def storage(connection_id: ConnectionId, request: Request) -> dict[str, Any]:
        """What each stream of a connection takes. Large tables are sampled."""
        found = connection_of(request, database, connection_id)
        streams = read_storage(database, found["id"])
        return {"connection": found["name"], "streams": [each.as_json() for each in streams]}

    @router.get("/connections/{connection_id}/cursors", dependencies=READ, response_model=CursorsShape)
    def cursors(
        connection_id: ConnectionId,
        request: Request,
        stream: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    ) -> dict[str, Any]:
        """How far streams are read, how late their news comes, and what makes a cursor doubtful."""
        found = connection_of(request, database, connection_id)
        if stream is not None:
            find_stream(database, found, stream)
        states = cursors_of(database, known_systems(), found, stream)
        return {"connection": found["name"], "cursors": [state.as_json() for state in states]}

    return router
