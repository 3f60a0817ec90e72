"""How may each route say no? One table of what goes for all of them, and a word for what is a route's own.

A route says `responses=refusals(410)` for what isn't among what its method and its path imply.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from scheduler.api.problems import MEDIA_TYPE

WORDS: Mapping[int, str] = {
    400: "The request can't be read, or its body.",
    401: "No valid token was shown.",
    403: "The token doesn't allow this.",
    404: "There is none of that name, as far as the token sees.",
    408: "The body didn't come.",
    409: "It can't be done as things stand: it is paused, it has ended, the name is taken, or means two things.",
    410: "The position is too old: what followed it is forgotten.",
    412: "It was changed since it was read (`If-Match`).",
    413: "The body is too long.",
    415: "The body is of another kind.",
    422: "Something that was sent is wrong: `place` says what, `hint` what to do.",
    429: "The token asks too often, or somebody guesses tokens: `Retry-After` says when to come again.",
    503: "The database can't be used now, or too much is sent at once: `Retry-After` says when to try again.",
}
_BODIES = {"post", "put", "patch"}


class MoreWrong(BaseModel):
    """One of several things that are wrong."""

    code: str
    detail: str
    place: str | None = None
    hint: str | None = None


class Problem(BaseModel):
    """Why not (RFC 9457). `code` is stable, for programs; `detail` and `hint` are for people."""

    type: str = Field(description="urn:headrace:problem: and the code.")
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    place: str | None = Field(None, description="Where it is wrong, such as `query.limit` or `body.streams`.")
    problems: list[MoreWrong] | None = None
    request_id: str | None = Field(None, description="Finds the lines of the log.")


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: that it may also be refused so."""
    return {status: {"model": Problem, "description": WORDS[status]} for status in statuses}


def implied(method: str, path: str) -> list[int]:
    """What any route may answer that is asked so."""
    if not path.startswith("/v1/"):
        return []
    statuses = {400, 401, 403, 404, 409, 422, 429, 503}
    if method in _BODIES:
        statuses |= {408, 413, 415}
    if method == "patch":
        statuses.add(412)
    return sorted(statuses)


def described(status: int) -> dict[str, Any]:
    """The answer in the document."""
    answer: dict[str, Any] = {
        "description": WORDS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in {429, 503}:
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return answer
