"""How does the API say no? As `application/problem+json` (RFC 9457), everywhere and always.

`code` is stable and for programs, `detail` and `hint` are for people, `request_id` finds the log lines. What a client
sent is not repeated.
"""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from scheduler.access.allowed import NotAllowed
from scheduler.runs.syncs import Refused
from worker.errors import HeadraceError, InvalidInput, NotFound, Transient
from worker.telemetry.redaction import redactor

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "request_id"
"""Where the middleware keeps it in `request.state`."""

log = structlog.get_logger()

_CODES = {
    401: "unauthorized",
    404: "unknown_route",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    503: "too_many_bodies",
}


_HINTS = {
    404: "`GET /v1/openapi.json` names all that there is.",
    405: "`Allow` names what is.",
    413: "Send less at once, in several requests.",
    415: "Send JSON, with `Content-Type: application/json`.",
    503: "Send it again, as `Retry-After` says.",
}


_SCHEMA = "`GET /v1/openapi.json` says what may stand there."


_STATUSES = {
    "ambiguous_connection": 409,
    "ambiguous_subscription": 409,
    "idempotency_in_flight": 409,
    "name_taken": 409,
    "connection_disconnected": 409,
    "token_replaced": 409,
    "token_revoked": 409,
    "token_expired": 409,
    "position_expired": 410,
    "changed_meanwhile": 412,
}


_TOLD = {"database_unavailable": "Postgres can't be used now. The log of this process says why."}
"""Instead of the error's own words, which name servers and users, and are said before anybody has shown a token."""


class Unauthorized(HeadraceError):
    """The token is missing or wrong; which of the two isn't said."""

    def __init__(self) -> None:
        super().__init__(
            "unauthorized", "This needs a valid token.", hint="Send `Authorization: Bearer <token>`."
        )


class Forbidden(HeadraceError):
    """The token is valid and doesn't allow this."""

    def __init__(self, scope: str) -> None:
        super().__init__(
            "forbidden",
            f"This needs a token with the scope `{scope}`.",
            hint="Ask whoever runs this Headrace for one: `headrace token create`.",
        )


_KINDS: list[tuple[type[HeadraceError], int]] = [
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotAllowed, 403),
    (NotFound, 404),
    (Refused, 409),
    (InvalidInput, 422),
    (Transient, 503),
]
"""The first that fits."""


def problem(request: Request, status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """The answer. It never holds a secret that this process has opened."""
    content = {
        "type": f"urn:headrace:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": redactor.redact(detail),
        **{key: value for key, value in more.items() if value is not None},
        "request_id": getattr(request.state, REQUEST_ID, None),
    }
    headers = {"WWW-Authenticate": 'Bearer realm="headrace"'} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "5"
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def status_of(error: HeadraceError) -> int:
    """The status that an error of ours is answered with."""
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    return next((status for kind, status in _KINDS if isinstance(error, kind)), 500)


def add_handlers(app: FastAPI) -> None:
    """Every way of saying no ends in a problem."""
    app.add_exception_handler(HeadraceError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadraceError)  # noqa: S101 - registered for these
    return answer_to(request, error)


def answer_to(request: Request, error: HeadraceError) -> JSONResponse:
    """An error of ours, as an answer."""
    status = status_of(error)
    if status >= 500:
        log.warning("request_failed", code=error.code, error=error.message, status=status)
    said = _TOLD.get(error.code, error.message)
    place = getattr(error, "place", None)
    more = [_one_of_many(each) for each in getattr(error, "problems", ())]
    return problem(request, status, error.code, said, hint=error.hint, place=place, problems=more or None)


def _one_of_many(error: InvalidInput) -> dict[str, Any]:
    words = {"code": error.code, "detail": redactor.redact(error.message), "place": error.place}
    return words if error.hint is None else {**words, "hint": redactor.redact(error.hint)}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    if error.status_code != 405:
        return refusal(request, error)
    allowed = {"Allow": ", ".join(_methods_at(request))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    answer = refusal(request, error)
    answer.headers.update(allowed)
    return answer


def _methods_at(request: Request) -> list[str]:
    """All that may be asked of this path; the framework names those of one route."""
    path = request.scope["path"]
    here = [
        route
        for route in iter_route_contexts(request.app.routes)
        if route.path is not None and compile_path(route.path)[0].match(path)
    ]
    methods = {method for route in here for method in route.methods or ()}
    return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


def refusal(request: Request, error: HTTPException) -> JSONResponse:
    """What the framework refuses, as an answer."""
    status = error.status_code
    code = _CODES.get(status, "bad_request" if status < 500 else "internal_error")
    detail = {
        404: "There is nothing at this path.",
        405: f"{request.method} is not allowed at this path.",
    }.get(status, str(error.detail))
    answer = problem(request, status, code, detail, hint=_HINTS.get(status))
    answer.headers.update(dict(error.headers or {}))
    return answer


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        words, at = first.get("ctx", {}).get("error", "it ends too early"), first["loc"][-1]
        said = f"The body is no JSON: {words} at character {at}."
        return problem(request, 422, "bad_json", said, hint="One value, in UTF-8.", place="body")
    place = ".".join(str(part) for part in first["loc"])
    if place == "body" and first["type"] == "missing":
        return problem(request, 422, "bad_value", "A body of JSON is needed.", hint=_SCHEMA, place=place)
    if place == "body" and "json" not in request.headers.get("content-type", ""):
        return refusal(request, HTTPException(415, "The body isn't said to be JSON."))
    return problem(request, 422, "bad_value", f"{first['msg']}.", hint=_SCHEMA, place=place)


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours: the log has the traceback, the answer has nothing but the way to find it."""
    log.error("request_crashed", exc_info=error, kind=type(error).__name__)
    return problem(
        request,
        500,
        "internal_error",
        "Something went wrong here, not in your request.",
        hint="Give the request id to whoever runs this Headrace: its log says more.",
    )
