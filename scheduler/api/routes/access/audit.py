"""The route of the audit log: who used which power, on what. It is read here, and changed nowhere."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request

from scheduler.access.acts import list_acts
from scheduler.api.lists.filters import Labels
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.routes.access import shapes
from scheduler.api.shapes import Moment
from scheduler.api.who import ADMIN, connection_of, principal_of
from scheduler.connections.few import shown
from scheduler.connections.view import labels_of, narrowed
from worker.db.database import Database


def audit_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/audit", tags=["audit"])

    @router.get("", dependencies=ADMIN, response_model=shapes.ActsShape)
    def acts(
        request: Request,
        *,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        connection: Annotated[shapes.Text | None, Query()] = None,
        action: Annotated[shapes.Text | None, Query()] = None,
        actor: Annotated[shapes.Text | None, Query()] = None,
        token: Annotated[UUID | None, Query()] = None,
        tenant: Annotated[shapes.Text | None, Query()] = None,
        label: Annotated[Labels, Query()] = [],  # noqa: B006 - FastAPI copies it
        since: Annotated[Moment | None, Query()] = None,
        until: Annotated[Moment | None, Query()] = None,
    ) -> dict[str, Any]:
        """What was done on what you see, and what you did, the newest first. `action` may be the beginning of one: `token.`

        `tenant` is whose the connection was then; `label` (key:value, and of several all) is what it has now.
        """
        [before] = read_cursor(cursor, UUID)
        labels, view = labels_of(label, place="query.label"), principal_of(request).view
        named = None if connection is None else connection_of(request, database, connection)
        rows = list_acts(
            database,
            principal_of(request),
            limit=limit + 1,
            before=before,
            connection=None if named is None else named["id"],
            action=action,
            actor=actor,
            token=token,
            tenant=tenant,
            of=shown(database, narrowed(view, labels=labels)) if labels else None,
            since=since,
            until=until,
        )
        return page_of("acts", rows, limit, by=lambda row: (row["id"],))

    return router
