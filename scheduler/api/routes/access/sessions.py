"""The routes of a session: a browser logs in with a token, and has a cookie for it."""

from typing import Any

from fastapi import APIRouter, Request, Response

from scheduler.access.allowed import NotAllowed
from scheduler.access.door.cookies import is_ours, set_cookie
from scheduler.access.door.sessions import LASTS, close_session, open_session
from scheduler.access.principal import Principal, Scope
from scheduler.api.routes.access import shapes
from scheduler.api.who import READ, SESSION, actor_of, principal_of
from worker.config import get_settings
from worker.db.database import Database


def sessions_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/session", tags=["session"])

    @router.post("", status_code=201, dependencies=READ, response_model=shapes.SessionShape)
    def log_in(request: Request, response: Response) -> dict[str, Any]:
        """Log a browser in: send the token as in every request, and its cookie does for it from then on.

        The cookie can't be read by pages, is sent by pages of this host alone, and is no good when its token has ended.
        """
        who = principal_of(request)
        if _session(request) is not None:
            raise NotAllowed("token_needed", "A session opens no other: send a token.")
        _refuse_others(request)
        value, ends = open_session(database, actor_of(request), who)
        response.headers.append(
            "Set-Cookie", set_cookie(value, _host(request), LASTS, request.headers.getlist("origin"))
        )
        return _shown(who) | {"expires_at": ends}

    @router.get("", dependencies=READ, response_model=shapes.SessionShape)
    def who_am_i(request: Request) -> dict[str, Any]:
        """Who you are here, and what you may do."""
        return _shown(principal_of(request))

    @router.delete("", status_code=204, dependencies=READ)
    def log_out(request: Request) -> Response:
        """Log out. The cookie is no good from here on, whoever has it."""
        value = _session(request)
        response = Response(status_code=204)
        if value is not None:
            close_session(database, actor_of(request), value)
            response.headers.append("Set-Cookie", set_cookie("", _host(request), 0))
        return response

    return router


def _refuse_others(request: Request) -> None:
    """No page of somebody else logs a browser in, as somebody it isn't."""
    origins = request.headers.getlist("origin")
    if origins and not is_ours(origins, _host(request), get_settings().public_url):
        raise NotAllowed("cross_site", "A browser logs in from a page of this Headrace.")


def _session(request: Request) -> str | None:
    value: str | None = getattr(request.state, SESSION, None)
    return value


def _host(request: Request) -> str:
    return request.headers.get("host", "")


def _shown(who: Principal) -> dict[str, Any]:
    return {
        "token_id": who.token_id,
        "owner": who.owner,
        "environment": who.environment,
        "scopes": [scope for scope in Scope if who.may(scope)],
        "expires_at": who.expires_at,
        "warning": who.warning,
    }
