"""The routes of health."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from scheduler.api.ready import Readiness


class Healthy(BaseModel):
    status: Literal["ok"]


class Reason(BaseModel):
    """What is missing."""

    check: str
    detail: str


class Ready(BaseModel):
    """Whether work is done now."""

    status: Literal["ready", "not_ready"]
    reasons: list[Reason]


def health_routes(readiness: Readiness) -> APIRouter:
    """For load balancers and orchestrators: open to all, and silent about names and places."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=Healthy)
    def healthz() -> dict[str, str]:
        """Say that this process answers, and nothing else: a database that is away is no reason to restart us."""
        return {"status": "ok"}

    @router.get(
        "/readyz",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "Something is missing."}},
    )
    def readyz() -> JSONResponse:
        """Database and broker can be used, a beat and a worker were seen within a minute; 503 says what is missing."""
        reasons = readiness.reasons()
        body = {"status": "ready" if not reasons else "not_ready", "reasons": reasons}
        return JSONResponse(body, 503 if reasons else 200)

    return router
