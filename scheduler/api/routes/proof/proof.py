"""The routes of proof: compare the copy with its source, see what was set aside and what drifted, ask why a record is as it is."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.lists.filters import Shown
from scheduler.api.lists.paging import Cursor, moment_of, page_of, read_cursor, read_cursors
from scheduler.api.problems import REQUEST_ID
from scheduler.api.routes.proof import shapes
from scheduler.api.shapes import sync_json
from scheduler.api.who import ADMIN, READ, SYNC, actor_of, connection_of
from scheduler.connections.resolve import find_stream
from scheduler.proof import drift as drifting
from scheduler.proof import quarantine as aside
from scheduler.proof.explain.facts import gather
from scheduler.proof.explain.words import explain as in_words
from scheduler.proof.verify import drift_of, request_verify, verifications
from worker.config import load_settings
from worker.db.database import Database
from worker.engine.watching.drift import shown

Name = Annotated[str, Path(min_length=1, max_length=200)]
Key = Annotated[str, Path(min_length=1, max_length=1000)]
STREAM = "/connections/{connection_id}/streams/{stream}"


class VerifyRequest(BaseModel):
    """Which streams (left out: all that are switched on), with how many requests each, and whether to mend."""

    model_config = ConfigDict(extra="forbid")

    streams: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=500)
        ]
        | None
    ) = None
    requests: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    repair: bool = False


class AsideRequest(BaseModel):
    """Try what was set aside again, or forget it: all of the stream, or these."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["retry", "discard"]
    ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None


def proof_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")
    _add_verify(router, database)
    _add_aside(router, database)
    _add_drift(router, database)

    @router.get(STREAM + "/records/{key}/explain", dependencies=READ, response_model=shapes.Explained)
    def explain(connection_id: Name, stream: Name, key: Key, request: Request) -> dict[str, Any]:
        """Why a record is as it is, in sentences; also of one that isn't there."""
        row = find_stream(database, connection_of(request, database, connection_id), stream)
        facts = gather(database, load_settings(), row["id"], key)
        return {
            "key": key,
            "found": facts.record is not None,
            "record": facts.record,
            "words": in_words(facts),
        }

    return router


def _add_verify(router: APIRouter, database: Database) -> None:
    @router.post(
        "/connections/{connection_id}/verifications",
        status_code=202,
        dependencies=SYNC,
        response_model=shapes.RequestedRuns,
    )
    def verify(
        connection_id: Name, request: Request, response: Response, body: VerifyRequest | None = None
    ) -> dict[str, Any]:
        """Ask for a comparison. A run that is queued already is joined."""
        wishes = body or VerifyRequest()
        connection = connection_of(request, database, connection_id)
        wanted = request_verify(
            database,
            connection,
            wishes.streams,
            requests=wishes.requests,
            repair=wishes.repair,
            cause="api",
            request_id=getattr(request.state, REQUEST_ID),
            actor=actor_of(request),
        )
        response.headers["Location"] = f"/v1/connections/{connection['id']}/verifications"
        return {"connection": connection["name"], "runs": [sync_json(run) for run in wanted]}

    @router.get(
        "/connections/{connection_id}/verifications", dependencies=READ, response_model=shapes.Verifications
    )
    def list_verifications(
        connection_id: Name,
        request: Request,
        stream: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 20,
    ) -> dict[str, Any]:
        """What comparisons found, the latest first."""
        (before,) = read_cursor(cursor, UUID)
        connection = connection_of(request, database, connection_id)
        of = find_stream(database, connection, stream)["id"] if stream else None
        rows = verifications(database, connection["id"], stream_id=of, before=before, limit=limit + 1)
        return page_of(
            "verifications",
            rows,
            limit,
            by=lambda row: (row["run_id"],),
            shape=lambda row: {**row, "drift": drift_of(row)},
        )


def _add_aside(router: APIRouter, database: Database) -> None:
    @router.get("/quarantine", dependencies=READ, response_model=shapes.AsideCounts)
    def summary(
        request: Request,
        view: Shown,
        connection: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """How much is set aside, by stream and reason, in the order in which streams were made."""
        stream, code = read_cursor(cursor, int, str)
        found = connection_of(request, database, connection) if connection else None
        rows = aside.summary(
            database, found["id"] if found else None, view, after=(stream or 0, code or ""), limit=limit + 1
        )
        return page_of("quarantine", rows, limit, by=lambda row: (row["stream_id"], row["code"]))

    @router.get(STREAM + "/quarantine", dependencies=READ, response_model=shapes.AsideRecords)
    def list_aside(
        connection_id: Name,
        stream: Name,
        request: Request,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """What is set aside of a stream, the latest first."""
        seen, last = read_cursor(cursor, str, UUID)
        after = None if seen is None else (moment_of(seen), last)
        row = find_stream(database, connection_of(request, database, connection_id), stream)
        rows = aside.list_quarantined(database, row, limit=limit + 1, after=after)
        return page_of("records", rows, limit, by=lambda row: (row["last_seen_at"].isoformat(), row["id"]))

    @router.get(STREAM + "/quarantine/{record_id}", dependencies=READ, response_model=shapes.WholeAside)
    def show_aside(connection_id: Name, stream: Name, record_id: UUID, request: Request) -> dict[str, Any]:
        """One of them, with what came."""
        row = find_stream(database, connection_of(request, database, connection_id), stream)
        found = aside.find_quarantined(database, str(record_id), stream_id=row["id"])
        return {**found, "raw": bytes(found["raw"]).decode("utf-8", "backslashreplace")}

    @router.post(
        STREAM + "/quarantine",
        dependencies=SYNC,
        response_model=shapes.Discarded | shapes.AsideRetry,
        responses={202: {"model": shapes.AsideRetry, "description": "A run tries them"}},
    )
    def decide(
        connection_id: Name, stream: Name, body: AsideRequest, request: Request, response: Response
    ) -> dict[str, Any]:
        """Try them again (202: a run does it), or forget them."""
        connection = connection_of(request, database, connection_id)
        row = find_stream(database, connection, stream)
        if body.action == "discard":
            return {"discarded": aside.discard(database, connection, row, body.ids, actor=actor_of(request))}
        run = aside.request_retry(
            database,
            connection,
            row,
            cause="api",
            request_id=getattr(request.state, REQUEST_ID),
            ids=body.ids,
            actor=actor_of(request),
        )
        response.status_code = 202
        response.headers["Location"] = f"/v1/runs/{run.id}"
        return {"run": run.id, "joined": not run.created, "url": f"/v1/runs/{run.id}"}


def _add_drift(router: APIRouter, database: Database) -> None:
    @router.get("/drift", dependencies=READ, response_model=shapes.Drift)
    def drifted(
        request: Request,
        view: Shown,
        connection: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Fields that appeared, vanished or changed their type, until somebody accepts them; in the order in which streams
        were made.
        """
        stream, *path = read_cursors(cursor, int, str) or (0,)
        found = connection_of(request, database, connection) if connection else None
        rows = drifting.drifted(
            database,
            connection_id=found["id"] if found else None,
            after=(stream, path),
            limit=limit + 1,
            view=view,
        )
        return page_of(
            "fields",
            rows,
            limit,
            by=lambda row: (row["stream_id"], *row["path"]),
            shape=lambda row: {**row, "field": shown(row["path"])},
        )

    @router.get(STREAM + "/fields", dependencies=READ, response_model=shapes.Fields)
    def fields(connection_id: Name, stream: Name, request: Request) -> dict[str, Any]:
        """Every field of a stream, with its types."""
        row = find_stream(database, connection_of(request, database, connection_id), stream)
        found = drifting.fields_of(database, row["id"])
        return {"fields": [{**each, "field": shown(each["path"])} for each in found]}

    @router.post(STREAM + "/fields/accept", dependencies=ADMIN, response_model=shapes.FieldsAccepted)
    def accept(connection_id: Name, stream: Name, request: Request) -> dict[str, Any]:
        """Take note: what changed is known from now on."""
        found = connection_of(request, database, connection_id)
        row = find_stream(database, found, stream)
        return {"accepted": drifting.accept(database, found, row, actor=actor_of(request))}
