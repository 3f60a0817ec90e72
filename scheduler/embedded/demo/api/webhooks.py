"""Where clients of the demo system register webhooks: `/api/v1/webhooks`."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scheduler.embedded.demo.api import answers
from scheduler.embedded.demo.api.listing import BadQuery
from scheduler.embedded.demo.hooks.subscriptions import BadSubscription
from scheduler.embedded.demo.system import System

Handler = Callable[[Request], Awaitable[Response]]
PATH = "/api/v1/webhooks"


def webhook_routes(system: System, guarded: Callable[[Handler], Handler]) -> list[Route]:
    """`guarded`: what stands around all of the API, a token first of all."""
    webhooks = Webhooks(system)

    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(f"{PATH}{path}", guarded(_careful(handler)), methods=[method])

    return [
        route("GET", "", webhooks.list),
        route("POST", "", webhooks.create),
        route("POST", "/{webhook}/renew", webhooks.renew),
        route("PATCH", "/{webhook}", webhooks.change),
        route("DELETE", "/{webhook}", webhooks.remove),
    ]


def _careful(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except KeyError:
            return answers.refused(404, "not_found", "There is no such webhook.")
        except BadSubscription as wrong:
            raise BadQuery(str(wrong)) from None
        except OSError as error:
            return answers.refused(507, "not_kept", f"It will be forgotten at the next start: {error}.")

    return handle


class Webhooks:
    """Who is told of changes."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def list(self, _request: Request) -> Response:
        return answers.as_json({"data": self._system.subscriptions.all(self._now())})

    async def create(self, request: Request) -> Response:
        made = self._system.subscriptions.create(await _body(request), self._now())
        return answers.as_json({"data": made}, 201)

    async def renew(self, request: Request) -> Response:
        id_ = request.path_params["webhook"]
        return answers.as_json({"data": self._system.subscriptions.renew(id_, self._now())})

    async def change(self, request: Request) -> Response:
        id_, body = request.path_params["webhook"], await _body(request)
        return answers.as_json({"data": self._system.subscriptions.change(id_, body, self._now())})

    async def remove(self, request: Request) -> Response:
        self._system.subscriptions.remove(request.path_params["webhook"])
        return Response(status_code=204)

    def _now(self) -> int:
        return self._system.plant.now()


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise BadSubscription("The body is no JSON.") from None
    if not isinstance(body, dict):
        raise BadSubscription("The body must be a JSON object.")
    return body
