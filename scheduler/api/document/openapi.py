"""What does a client generator need to know? The document that FastAPI makes of the routes, and what it doesn't know of them:
how they are reached, how each may refuse, and which headers go for all.
"""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from scheduler.api.document.refusals import MoreWrong, Problem, described, implied

VERSION = "3.1.0"
_ABOUT = """Ask for syncs, watch runs, read the copy, and set up connections. docs/api.md is the manual.

Every request shows a token: `Authorization: Bearer hr_live_…`. Whatever a token doesn't see isn't there for it. Lists
are read in pages: `next` of one is the `cursor` of the following. Every answer has `X-Request-ID`, `Server-Timing` and
`RateLimit`.
"""
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_FRAMEWORK = ("HTTPValidationError", "ValidationError")
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key is carried out once, for 7 days, and answered the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of what was read: it is changed only if it is still that.",
    "schema": {"type": "string", "maxLength": 1000, "pattern": "^[ -~]*$"},
}


def document_of(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(
        title="Headrace",
        version=version("headrace"),
        openapi_version=VERSION,
        description=_ABOUT,
        routes=routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK:
        schemas.pop(name, None)
    _, found = models_json_schema(
        [(Problem, "serialization"), (MoreWrong, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    schemas |= found["$defs"]
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of Headrace."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "headrace_session",
            "description": "Of a browser.",
        },
    }
    document["security"] = [{"token": []}]
    for path, method, operation in _operations(document):
        _complete(path, method, operation)
    return document


def operation_id(method: str, path: str) -> str:
    """`get_runs_run_id`: told by the path alone, so it stays as long as the path does."""
    words = re.sub(r"[^a-z0-9]+", "_", path.removeprefix("/v1").lower()).strip("_")
    return f"{method}_{words}"


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                yield path, method, operations[method]


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["operationId"] = operation_id(method, path)
    operation.setdefault("tags", [path.removeprefix("/v1/").split("/")[0]])
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    own = [int(status) for status in answers if status.isdigit() and int(status) >= 400]
    for status in own:
        if "Problem" in str(answers[str(status)]):
            answers[str(status)] = described(status)
    for status in implied(method, path):
        answers.setdefault(str(status), described(status))
    if not path.startswith("/v1/"):
        operation["security"] = []
        return
    parameters = operation.setdefault("parameters", [])
    if method == "post":
        parameters.append(_IDEMPOTENCY)
    if method == "patch":
        parameters.append(_IF_MATCH)
    if method == "get":
        answers.setdefault("304", {"description": "The client has it already (`If-None-Match`)."})
