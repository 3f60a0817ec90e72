"""The pages of a connect link: from its first opening to the connection that works, or the words for why it doesn't.

The link's secret stands in one address only, which the log doesn't hold; from then on a cookie stands for it, that one
browser has. Emits: consent_refused.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from typing import Annotated, Any
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from scheduler.access.door.cookies import is_loopback, is_ours, is_planted
from scheduler.api.consent import page
from scheduler.api.consent.visit import Visit
from scheduler.connections.consent import keys
from scheduler.connections.consent.links import find_done, find_link, open_link
from scheduler.connections.systems import known_systems
from worker.config import load_settings
from worker.db.database import Database
from worker.errors import HeadraceError, NotFound

log = structlog.get_logger()

COOKIE = "headrace_connect"
LARGEST_FORM = 64 * 1024


async def _form(request: Request) -> dict[str, str] | None:
    """What was filled in; None: more than any of our forms can hold."""
    body = await request.body()
    if len(body) > LARGEST_FORM:
        return None
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return {}


Form = Annotated[dict[str, str] | None, Depends(_form)]


def consent_routes(database: Database) -> APIRouter:
    """Open to everybody, and useless without a link."""
    router = APIRouter(prefix="/connect", include_in_schema=False)
    look = resources.files("scheduler.api.consent").joinpath("look.css").read_bytes()

    @router.get("/look.css")
    def style() -> Response:
        return Response(look, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    @router.post("/start")
    def start(form: Form, request: Request) -> Response:
        """The first browser has the link from here on."""
        if _is_sent_by_others(request):
            return page.gone()
        session = open_link(database, (form or {}).get("link", ""))
        if session is None:
            return page.gone()
        host = request.headers.get("host", "")
        answer = RedirectResponse("/connect/form", 303, page.HEADERS)
        answer.set_cookie(
            cookie_name(host),
            session,
            path="/connect" if is_loopback(host) else "/",
            httponly=True,
            secure=not is_loopback(host) or _origin(request).startswith("https:"),
            samesite="lax",
        )
        return answer

    _add_opened(router, database)

    @router.get("/{secret}")
    def welcome(secret: str, request: Request) -> Response:
        """Looking changes nothing: programs look into mails before people do."""
        link = find_link(database, secret=secret)
        if link is not None and link["opened_at"] is None:
            return page.welcome(_title(link["system"]), link["name"], secret)
        session = _session_of(request)
        digest = keys.digest_of(secret)
        if session is not None and link is None:
            done = find_done(database, session)
            if done is not None and bytes(done["digest"]) == digest:
                return page.done(_title(done["system"]), done["return_url"])
        mine = None if session is None else find_link(database, session=session)
        if link is not None and mine is not None and mine["id"] == link["id"]:
            return RedirectResponse("/connect/form", 303, page.HEADERS)
        return page.gone()

    return router


def _add_opened(router: APIRouter, database: Database) -> None:
    """What the browser that opened a link may do."""

    def visited(request: Request, act: Callable[[Visit], Response]) -> Response:
        session = _session_of(request)
        if session is None:
            return page.gone()
        link = find_link(database, session=session)
        if link is not None:
            return _act(act, database, request, link, session)
        done = find_done(database, session)
        if done is None:
            return page.gone()
        return page.done(_title(done["system"]), done["return_url"])

    @router.get("/form")
    def show(request: Request) -> Response:
        def shown(visit: Visit) -> Response:
            return page.form(visit.needs, visit.link["name"], keys.form_proof(visit.session))

        return visited(request, shown)

    @router.post("/form")
    def give(form: Form, request: Request) -> Response:
        """What was typed in: on to the system's own log-in, or to the trial."""
        return visited(request, partial(_given, form, request))

    @router.get("/callback")
    def back(request: Request) -> Response:
        """The browser comes back from the system with a code, or with a no."""
        return visited(request, Visit.back)


def _act(
    act: Callable[[Visit], Response],
    database: Database,
    request: Request,
    link: dict[str, Any],
    session: str,
) -> Response:
    """What the browser asked for, unless its link leads nowhere any more: to a system that was taken away."""
    try:
        visit = Visit(database, request, link, session)
    except HeadraceError as exc:
        log.warning("consent_refused", link=str(link["id"]), code=exc.code)
        return page.gone()
    return act(visit)


def _title(system: str) -> str:
    """The system's name for people; a link may be older than a manifest that was taken away."""
    try:
        return known_systems().get(system).title
    except NotFound:
        return system


def _given(form: dict[str, str] | None, request: Request, visit: Visit) -> Response:
    if form is None:
        return page.refused(visit.needs.title, "That is too much: no value that is asked for is so long.")
    return visit.give(form) if _is_our_form(request, form, visit.session) else page.gone()


def cookie_name(host: str) -> str:
    """As of a session: where there is TLS, no neighbour of this host can plant one."""
    return COOKIE if is_loopback(host) else f"__Host-{COOKIE}"


def _session_of(request: Request) -> str | None:
    """What this browser has for the link that it opened; of two cookies a neighbour planted one."""
    name = cookie_name(request.headers.get("host", ""))
    pairs = [
        part.strip().partition("=") for each in request.headers.getlist("cookie") for part in each.split(";")
    ]
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 else None


def _is_our_form(request: Request, form: Mapping[str, str], session: str) -> bool:
    """A browser that tells no page where it comes from sends `null`; our form's own proof counts then."""
    if _is_sent_by_others(request):
        return False
    origins = [each for each in request.headers.getlist("origin") if each != "null"]
    host, public = request.headers.get("host", ""), load_settings().public_url
    return form.get("proof") == keys.form_proof(session) and (not origins or is_ours(origins, host, public))


def _is_sent_by_others(request: Request) -> bool:
    """Whether the browser says that a page of somebody else sends this form."""
    return is_planted(request.headers.getlist("sec-fetch-site"))


def _origin(request: Request) -> str:
    return request.headers.get("origin", "")
