"""Flower behind the login of the API: `/flower`, for whoever may do everything and sees everything that is live.

Flower itself listens on the loopback address and asks for a password of its own, which is sent from here. Only pages
that look are passed on, named one by one: what controls workers, and /metrics, is not there. Nothing of who asks (cookie,
token) reaches Flower, and no cookie or script from elsewhere comes back: what stands in a task may be anybody's.
"""

import re
from base64 import b64encode
from functools import partial
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated
from urllib.parse import quote

import httpx
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from scheduler.access.allowed import NotAllowed
from scheduler.access.principal import Principal, Scope
from scheduler.api.who import ADMIN, principal_of
from scheduler.embedded.flower import PASSWORD_FILE, PREFIX, USER
from scheduler.embedded.private_files import read_or_none
from worker.config import Settings, get_settings
from worker.errors import NotFound, Transient

LOOKS = re.compile(
    r"(?:|workers|tasks|broker|(?:worker|task)/(?!\.\.?$)[A-Za-z0-9._@:-]{1,200}"
    r"|api/workers|api/tasks|api/task/types|api/queues/length|api/task/info/(?!\.\.?$)[A-Za-z0-9._-]{1,200}"
    r"|static/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*)",
    re.ASCII,
)
PASSED_BACK = ("content-type", "etag", "last-modified", "cache-control")
LIST = "tasks/datatable"
"""Which tasks there are: asked for by its page with a form, and changing nothing."""
LONGEST_FORM = 16 * 1024
WAIT = 15.0
MOST = 32 * 1024 * 1024
_INLINE = re.compile(rb"<script type=\"text/javascript\">(\s*var autorefresh = [0-9]{1,9};\s*)</script>")
"""The one script that stands in a page of Flower."""


def flower_routes() -> APIRouter:
    """What an admin's token or session opens."""
    router = APIRouter(prefix=f"/{PREFIX}", include_in_schema=False)
    # Kept, one person's cookies would go along with the next one's.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    client = httpx.Client(timeout=WAIT, trust_env=False, follow_redirects=False, cookies=no_cookies)

    @router.get("", dependencies=ADMIN)
    def begin() -> Response:
        return RedirectResponse(f"/{PREFIX}/", status_code=307)

    @router.post(f"/{LIST}", dependencies=ADMIN)
    def look_at_tasks(request: Request, form: Annotated[str, Depends(_form)]) -> Response:
        _require_all(request)
        return _answer(client, get_settings(), LIST, form)

    @router.get("/{path:path}", dependencies=ADMIN)
    def look(request: Request, path: str) -> Response:
        _require_all(request)
        if not LOOKS.fullmatch(path):
            raise NotFound("unknown_route", "Flower has no such page here.")
        return _answer(client, get_settings(), path, request.url.query)

    return router


async def _form(request: Request) -> str:
    """What a form of Flower holds, as it stands in an address: Flower takes either."""
    body = await request.body()
    return body.decode("ascii", "replace") if len(body) <= LONGEST_FORM else ""


def may_look(who: Principal) -> bool:
    """Whether Flower is for them: it shows the work of the whole installation."""
    return who.environment == "live" and not who.limited and who.may(Scope.ADMIN)


def _require_all(request: Request) -> None:
    if not may_look(principal_of(request)):
        raise NotAllowed(
            "whole_installation_needed",
            "Flower shows the work of the whole installation, and your token is for a part of it.",
            hint="Use a live admin token that isn't limited to connections or tenants.",
        )


def _answer(client: httpx.Client, settings: Settings, path: str, query: str) -> Response:
    password = read_or_none(settings.home / PASSWORD_FILE)
    if password is None or not settings.flower_port:
        raise _away()
    url = f"http://127.0.0.1:{settings.flower_port}/{PREFIX}/{quote(path, safe='/@:')}"
    login = b64encode(f"{USER}:{password}".encode()).decode()
    try:
        with client.stream(
            "GET", f"{url}?{query}" if query else url, headers={"Authorization": f"Basic {login}"}
        ) as found:
            body = _body(found)
    except httpx.InvalidURL:
        raise NotFound("unknown_route", "Flower has no such page here.") from None
    except httpx.HTTPError:
        raise _away() from None
    headers = {name: found.headers[name] for name in PASSED_BACK if name in found.headers}
    if found.status_code == 401:
        raise _away()
    return Response(body, found.status_code, headers | _kept_to_itself(body))


def _body(found: httpx.Response) -> bytes:
    taken, size = [], 0
    for piece in found.iter_bytes():
        size += len(piece)
        if size > MOST:
            raise _away()
        taken.append(piece)
    return b"".join(taken)


def _kept_to_itself(body: bytes) -> dict[str, str]:
    """Its scripts come from its own files, and its pages are shown in no other."""
    inline = "".join(
        f" 'sha256-{b64encode(sha256(each).digest()).decode()}'" for each in _INLINE.findall(body)
    )
    policy = (
        f"default-src 'none'; script-src 'self'{inline}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}


_away = partial(
    Transient,
    "flower_away",
    "Flower doesn't answer on this machine.",
    hint="`headrace flower` runs it, with the same HEADRACE_HOME and HEADRACE_FLOWER_PORT as the API.",
)
