"""The pages on which people log in and out: a form for a token, and no script.

For whatever a browser shows of Headrace, such as `/flower`. Whoever comes without a session is sent here by the guard, for
any path alike, and goes on from here to a path of this host and nowhere else; who wanted nothing else, to the page `/`.
"""

import hashlib
import html
from base64 import b64encode
from string import Template
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from scheduler.access.allowed import NotAllowed
from scheduler.access.audit import Actor
from scheduler.access.door.cookies import is_ours, set_cookie
from scheduler.access.door.paths import is_local
from scheduler.access.door.sessions import LASTS, close_session, open_session
from scheduler.api.guard import ADMIT, TooManyGuesses
from scheduler.api.problems import REQUEST_ID, Unauthorized
from scheduler.api.routes.flower import may_look
from scheduler.api.who import READ, SESSION, actor_of, principal_of, source_of
from scheduler.embedded.flower import PREFIX
from worker.config import get_settings
from worker.db.database import Database

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:26rem;margin:15vh auto 0;padding:0 1rem}
h1,p{overflow-wrap:anywhere}
label{display:block;margin:1rem 0 .25rem}small{display:block;margin-bottom:.4rem;color:#56636f}
input,button{font:inherit;padding:.6rem;width:100%;box-sizing:border-box;border:1px solid #7d7d7d;border-radius:.4rem}
button{margin-top:1rem;background:#0b5cad;border-color:#0b5cad;color:#fff;cursor:pointer}
input:focus-visible,button:focus-visible,a:focus-visible{outline:3px solid #3b8de0;outline-offset:2px}
a{color:#0b5cad}.said{color:#a31621}
@media(prefers-color-scheme:dark){a{color:#6db3f8}small{color:#a3b0bc}.said{color:#ff9a9f}}
"""
_PAGE = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
    f"<title>Headrace</title><style>{_STYLE}</style></head><body><h1>Headrace</h1>$body</body></html>"
)
_FORM = Template(
    '$said<form method="post" action="/login"><input type="hidden" name="next" value="$next">'
    '<label for="token">Your token</label><small id="about">hr_live_… or hr_test_…, from whoever runs Headrace</small>'
    '<input id="token" name="token" type="password" aria-describedby="about" autocomplete="current-password" required autofocus>'
    "<button>Log in</button></form>"
)
_INSIDE = Template(
    "<p>You are logged in as <strong>$owner</strong>, for what is $environment.</p>$pages"
    '<form method="post" action="/logout"><button>Log out</button></form>'
)
_PAGES = f'<p><a href="/{PREFIX}/">Flower</a> shows what the workers do.</p>'
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    # Not `no-referrer`: with that a browser says of a form that it comes from nowhere.
    "Referrer-Policy": "same-origin",
}


def login_routes(database: Database) -> APIRouter:
    """Open to all but for logging out. Not of the API's document: programs send their token."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def form(next: str = "") -> HTMLResponse:  # noqa: A002 - as the parameter is called
        return _form(next)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        host, origins = request.headers.get("host", ""), request.headers.getlist("origin")
        if not is_ours(origins, host, get_settings().public_url):
            raise NotAllowed("cross_site", "A browser logs in from a page of this Headrace.")
        given = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        onward, token = given.get("next", [""])[0], given.get("token", [""])[0].strip()
        try:
            who = await getattr(request.state, ADMIT)(token)
        except Unauthorized:
            return _form(onward, said="This is no valid token.", status=401)
        except TooManyGuesses as error:
            return _form(onward, said=str(error), status=429)
        actor = Actor.of(who, request_id=getattr(request.state, REQUEST_ID), source=source_of(request))
        value, _ = await run_in_threadpool(open_session, database, actor, who)
        answer = RedirectResponse(onward if is_local(onward) else "/", status_code=303)
        answer.headers.append("Set-Cookie", set_cookie(value, host, LASTS, origins))
        return answer

    @router.get("/", dependencies=READ)
    def inside(request: Request) -> HTMLResponse:
        who = principal_of(request)
        pages = _PAGES if may_look(who) else ""
        return _page(
            _INSIDE.substitute(owner=html.escape(who.owner), environment=who.environment, pages=pages)
        )

    @router.post("/logout", dependencies=READ)
    def log_out(request: Request) -> Response:
        answer = RedirectResponse("/login", status_code=303)
        value: str | None = getattr(request.state, SESSION, None)
        if value is not None:
            close_session(database, actor_of(request), value)
            answer.headers.append("Set-Cookie", set_cookie("", request.headers.get("host", ""), 0))
        return answer

    return router


def _form(onward: str, *, said: str = "", status: int = 200) -> HTMLResponse:
    words = f'<p class="said" role="alert">{html.escape(said)}</p>' if said else ""
    kept = html.escape(onward) if is_local(onward) else ""
    return _page(_FORM.substitute(said=words, next=kept), status)


def _page(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.substitute(body=body), status, _HEADERS)
