"""What goes wrong between a program and the API, in kinds that a program can tell apart.

    Denied        401, 403                 the token is wrong, or not for this
    NotThere      404, 410                 nothing has this name, as far as the token sees
    Wrong         400, 409, 412, 422, …    the request; `place` says which field
    Unavailable   429, 5xx, no answer      later may be better; it was tried again already

`code` is stable, `request_id` finds the lines in the API's log.
"""

import json
from typing import Any

import httpx

from worker.errors import HeadraceError, InvalidInput, NotFound, Transient


class ApiError(HeadraceError):
    """The root. `status` is 0 where nobody answered."""

    status: int = 0
    request_id: str | None = None
    place: str | None = None


class Denied(ApiError):
    """The token is missing, wrong, or not for this."""


class NotThere(ApiError, NotFound):
    """Nothing has this name or id, as far as the token sees."""


class Wrong(ApiError, InvalidInput):
    """What was asked can't be done as it was asked. Nothing was changed."""


class Unavailable(ApiError, Transient):
    """The API couldn't be reached, or can't do it now."""


def error_of(response: httpx.Response) -> ApiError:
    """What an answer other than 2xx means."""
    told = _told(response)
    status = response.status_code
    kind = _kind(status)
    words, advice = _unsaid(response)
    detail, hint = _text(told, "detail") or words, _text(told, "hint") or advice
    code, place = _text(told, "code") or f"http_{status}", _text(told, "place")
    error = (
        kind(code, detail, hint=hint)
        if not issubclass(kind, InvalidInput)
        else kind(code, detail, hint=hint, place=place)
    )
    error.status, error.place = status, place
    error.request_id = _text(told, "request_id") or response.headers.get("x-request-id")
    return error


def unreachable(error: httpx.HTTPError, place: str) -> Unavailable:
    """Nobody answered."""
    timed_out = isinstance(error, httpx.TimeoutException)
    return Unavailable(
        "api_unreachable",
        f"The API at {place} {'did not answer in time' if timed_out else 'could not be reached'}.",
        hint="Is it running, and is the address right?",
    )


def nonsense(response: httpx.Response) -> ApiError:
    """An answer that isn't the API's."""
    error = ApiError(
        "no_headrace",
        f"What {response.request.url.host} answered is not of a Headrace that this client knows.",
        hint="Is the address right, and is the client as new as the server?",
    )
    error.status, error.request_id = response.status_code, response.headers.get("x-request-id")
    return error


def _kind(status: int) -> type[ApiError]:
    if status in {401, 403}:
        return Denied
    if status in {404, 410}:
        return NotThere
    if status == 429 or status >= 500:
        return Unavailable
    return Wrong


def _unsaid(response: httpx.Response) -> tuple[str, str]:
    """The words, and what to do, where an answer has none of ours."""
    host, to = response.request.url.host, _sent_on(response)
    if to is not None:
        words = f"{host} sends on to {to}, and the token goes to one address only."
        return words, "Give the address of the API itself."
    words = f"{host} answered {response.status_code} in words of its own."
    return words, "Is that the address of a Headrace, and does every proxy before it let this through?"


def _sent_on(response: httpx.Response) -> str | None:
    """To which server a redirect leads, without what else stands in its address."""
    if not response.has_redirect_location:
        return None
    to = response.request.url.join(response.headers["location"])
    return f"{to.scheme}://{to.netloc.decode('ascii')}"


def _told(response: httpx.Response) -> dict[str, Any]:
    try:
        told = json.loads(response.content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(told: dict[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None
