"""The routes of the copy: its records, as they are and as they were, and how a record is removed for good.

A record stands in an answer as its system sent it, digits and order and all.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.lists.paging import Cursor, read_cursor, write_cursor
from scheduler.api.shapes import NO_NUL
from scheduler.api.who import ADMIN, READ, actor_of, connection_of
from scheduler.connections.resolve import find_stream
from scheduler.keeping.erasure.erase import allow_again, erase_record
from scheduler.keeping.moment import parse_moment
from scheduler.keeping.reading import one_record, page_of_records
from scheduler.runs.syncs import Refused
from worker.config import load_settings
from worker.db.database import Database
from worker.errors import InvalidInput, NeedsOperator, NotFound
from worker.runs.wakeups.publish import send_for

MOST_BYTES = 4 * 1024 * 1024
"""A page of large records ends after so much."""

Name = Annotated[str, Path(min_length=1, max_length=200)]
Key = Annotated[
    str, Path(min_length=1, max_length=1000, description="As lists show it; a slash in it is written %2F.")
]
AsOf = Annotated[
    str | None,
    Query(min_length=1, max_length=40, description="As it was then: a time, or 2h for two hours ago."),
]


class RecordShape(BaseModel):
    """A record of the copy. `record` is what its system sent; `deleted_at` says that it is gone there."""

    key: str
    version: int | None
    source_updated_at: datetime | None
    observed_at: datetime
    first_seen_at: datetime
    deleted_at: datetime | None
    record: Any


class Records(BaseModel):
    """A page in the order of the keys."""

    records: list[RecordShape]
    next: str | None


class NewErasure(BaseModel):
    """Which record, and why; say nothing of the person in the reason."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=1000, pattern=NO_NUL)]
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=NO_NUL)] | None = None


class ErasedShape(BaseModel):
    """Whether the copy held it, and how much went where."""

    erased: bool
    removed: dict[str, int]


class AllowedShape(BaseModel):
    """How many may come back."""

    allowed: int


def records_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connections/{connection_id}/streams/{stream}", tags=["records"])
    _add_reading(router, database)
    _add_erasing(router, database)
    return router


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("/records", dependencies=READ, response_model=Records)
    def records(
        *,
        connection_id: Name,
        stream: Name,
        request: Request,
        as_of: AsOf = None,
        deleted: Annotated[bool, Query(description="Those that are gone at the system, too.")] = False,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """The records of a stream in the order of their keys. A page may hold fewer than `limit` where they are large."""
        (after,) = read_cursor(cursor, str)
        row = find_stream(database, connection_of(request, database, connection_id), stream)
        page = page_of_records(
            database, row, after or "", deleted=deleted, limit=limit, most_bytes=MOST_BYTES, at=_moment(as_of)
        )
        following = write_cursor(page.records[-1]["key"]) if page.more and page.records else None
        shown = ", ".join(map(record_json, page.records))
        return _sent(f'{{"records": [{shown}], "next": {json.dumps(following)}}}')

    @router.get("/records/{key}", dependencies=READ, response_model=RecordShape)
    def record(connection_id: Name, stream: Name, key: Key, request: Request, as_of: AsOf = None) -> Response:
        """One record, also one that is gone."""
        row = find_stream(database, connection_of(request, database, connection_id), stream)
        found = one_record(database, row, key, _moment(as_of))
        if found is None:
            raise NotFound(
                "unknown_record",
                "The copy holds no record of this key."
                if as_of is None
                else "The copy held no record of this key.",
                hint="`…/explain` says why.",
            )
        return _sent(record_json(found))


def _add_erasing(router: APIRouter, database: Database) -> None:
    @router.post("/erasures", dependencies=ADMIN, response_model=ErasedShape)
    def erase(connection_id: Name, stream: Name, body: NewErasure, request: Request) -> dict[str, Any]:
        """Remove a record from every table, and keep it from coming back at the next sync. It stays at its system."""
        connection = connection_of(request, database, connection_id)
        row = find_stream(database, connection, stream)
        with _as_things_stand():
            erased = erase_record(
                database,
                load_settings(),
                row,
                body.key,
                body.reason,
                actor=actor_of(request),
                connection=connection,
            )
        send_for(database, erased.wakeups)
        return {"erased": erased.was_there, "removed": erased.removed}

    @router.delete("/erasures", dependencies=ADMIN, response_model=AllowedShape)
    def allow(
        connection_id: Name,
        stream: Name,
        request: Request,
        key: Annotated[str, Query(min_length=1, max_length=1000, pattern=NO_NUL)],
    ) -> dict[str, Any]:
        """Let a record that was erased come back at the next sync that reads it."""
        connection = connection_of(request, database, connection_id)
        row = find_stream(database, connection, stream)
        with _as_things_stand():
            count = allow_again(
                database, load_settings(), row, key, actor=actor_of(request), connection=connection
            )
        return {"allowed": count}


@contextmanager
def _as_things_stand() -> Iterator[None]:
    """Without a privacy key nothing can be erased: that isn't a fault of this process."""
    try:
        yield
    except NeedsOperator as error:
        raise Refused(error.code, error.message, hint=error.hint) from None


def record_json(row: Mapping[str, Any]) -> str:
    """One record."""
    facts = {
        "key": row["key"],
        "version": row["version"],
        **{
            name: _time(row[name])
            for name in ("source_updated_at", "observed_at", "first_seen_at", "deleted_at")
        },
    }
    raw = row["raw"].replace("\r", " ").replace("\n", " ")  # in JSON these stand between values only
    return f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "record": {raw}}}'


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text, datetime.now(UTC))
    except InvalidInput as error:
        raise InvalidInput(error.code, error.message, hint=error.hint, place="query.as_of") from None


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _sent(text: str) -> Response:
    return Response(text, media_type="application/json")
