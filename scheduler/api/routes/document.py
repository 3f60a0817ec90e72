"""The route of the API's own document."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from scheduler.api.document.openapi import document_of
from scheduler.api.etag import etag_of
from scheduler.api.who import READ


def document_routes() -> APIRouter:
    """What any valid token opens."""
    router = APIRouter(prefix="/v1")

    @lru_cache(maxsize=1)
    def made(app: Any) -> tuple[dict[str, Any], str]:
        document = document_of(app.routes)
        return document, etag_of(document)

    @router.get("/openapi.json", dependencies=READ, include_in_schema=False)
    def openapi(request: Request) -> JSONResponse:
        """The whole API, in OpenAPI 3.1."""
        document, etag = made(request.app)
        return JSONResponse(document, headers={"ETag": etag})

    return router
