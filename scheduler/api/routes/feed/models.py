"""The routes of the unified models: records of all systems in the same words."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from scheduler.api.document.refusals import refusals
from scheduler.api.lists.filters import Shown
from scheduler.api.routes.feed import shapes
from scheduler.api.shapes import Moment
from scheduler.api.who import READ
from scheduler.feed.changes import position_named
from scheduler.feed.models import find_model, read_model
from worker.connectors.manifest.views.canonical import MODELS
from worker.db.database import Database

Text = Annotated[str, Field(min_length=1, max_length=200)]


def models_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1")

    @router.get("/models", dependencies=READ, response_model=shapes.Models)
    def models() -> dict[str, Any]:
        """Which models there are, and which fields each has."""
        return {
            "models": [
                {"name": model.name, "fields": list(model.fields), "lines": list(model.lines)}
                for model in MODELS.values()
            ]
        }

    @router.get(
        "/models/{model}", dependencies=READ, response_model=shapes.ModelPage, responses=refusals(410)
    )
    def records(
        *,
        view: Shown,
        model: Annotated[str, Path(min_length=1, max_length=200)],
        updated_after: Annotated[Moment | None, Query()] = None,
        connection: Annotated[Text | None, Query()] = None,
        cursor: Annotated[Text | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Records of a model in the order in which they changed. `next` is what to give as `cursor` for what follows,
        also when there is nothing more now: whoever goes on from there misses nothing.
        """
        found = find_model(model)
        after = None if cursor is None else position_named(database, cursor, place="query.cursor")
        page = read_model(
            database,
            found,
            after,
            connection=connection,
            updated_after=updated_after,
            limit=limit,
            view=view,
        )
        body = {"records": list(page.records), "next": str(page.next), "more": page.more}
        return Response(json.dumps(body, default=_plain, ensure_ascii=False), media_type="application/json")

    return router


def _plain(value: Any) -> Any:
    """Numbers keep their digits: as numbers where they are exact in a float, else as text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 10**15 else _number(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _number(value: Decimal) -> float | str:
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)
