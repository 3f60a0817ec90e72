"""The pages of a connect link: from its first opening to the connection that works, or the words for why it doesn't.

The link's secret stands in one address only, which the log doesn't hold; from then on a cookie stands for it, that one
browser has. A state of OAuth is good once, for a quarter of an hour, and for that browser. Emits: consent_refused.
"""

from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Depends, Request
from psycopg.types.json import Jsonb
from starlette.responses import RedirectResponse, Response

from scheduler.access.audit import Actor
from scheduler.access.door.cookies import is_loopback, is_ours
from scheduler.api.consent import page
from scheduler.api.problems import REQUEST_ID
from scheduler.api.who import source_of
from scheduler.connections.consent import keys
from scheduler.connections.consent.finish import Rooms, candidate_of, finish, put_away
from scheduler.connections.consent.links import find_link, needs_of_link, open_link, queries
from scheduler.connections.consent.needs import Needs
from scheduler.connections.consent.oauth import CALLBACK, address_to_consent, client_of, exchange
from scheduler.connections.editing.edit import queries as editing
from scheduler.connections.systems import known_systems
from scheduler.connections.trial.room import room
from scheduler.connections.trial.trial import Candidate, trial_sender
from worker.config import load_settings
from worker.connectors.manifest.oauth2 import OAuth2Manifest
from worker.db.database import Database
from worker.errors import HeadraceError, InvalidInput

COOKIE = "headrace_connect"
LARGEST_FORM = 64 * 1024

log = structlog.get_logger()


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    if len(body) > LARGEST_FORM:
        return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return {}


Form = Annotated[dict[str, str], Depends(_form)]


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
        session = open_link(database, form.get("link", ""))
        if session is None:
            return page.gone()
        answer = RedirectResponse("/connect/form", 303, page.HEADERS)
        secure = not is_loopback(request.headers.get("host", ""))
        answer.set_cookie(COOKIE, session, path="/connect", httponly=True, secure=secure, samesite="lax")
        return answer

    _add_opened(router, database)

    @router.get("/{secret}")
    def welcome(secret: str, request: Request) -> Response:
        """Looking changes nothing: programs look into mails before people do."""
        link = find_link(database, secret=secret)
        if link is None:
            return page.gone()
        if link["opened_at"] is None:
            return page.welcome(known_systems().get(link["system"]).title, link["name"], secret)
        mine = _link_of(database, request)
        if mine is not None and mine[0]["id"] == link["id"]:
            return RedirectResponse("/connect/form", 303, page.HEADERS)
        return page.gone()

    return router


def _add_opened(router: APIRouter, database: Database) -> None:
    """What the browser that opened a link may do."""

    @router.get("/form")
    def show(request: Request) -> Response:
        found = _link_of(database, request)
        if found is None:
            return page.gone()
        link, session = found
        return page.form(_needs(database, link), link["name"], keys.form_proof(session))

    @router.post("/form")
    def give(form: Form, request: Request) -> Response:
        """What was typed in: on to the system's own log-in, or to the trial."""
        found = _link_of(database, request)
        if found is None or not _is_our_form(request, form, found[1]):
            return page.gone()
        return _Visit(database, request, *found).give(form)

    @router.get("/callback")
    def back(request: Request) -> Response:
        """The browser comes back from the system with a code, or with a no."""
        found = _link_of(database, request)
        return page.gone() if found is None else _Visit(database, request, *found).back()


class _Visit:
    """One request of a browser that has a link."""

    def __init__(self, database: Database, request: Request, link: dict[str, Any], session: str) -> None:
        self.database, self.request, self.link, self.session = database, request, link, session
        self.settings = load_settings()
        self.needs = _needs(database, link)
        self.actor = Actor(
            "connect-link",
            link["created_by"],
            link["environment"],
            getattr(request.state, REQUEST_ID),
            source_of(request),
        )

    def give(self, form: Mapping[str, str]) -> Response:
        typed: dict[str, Any] = {}
        try:
            typed = {each.name: form.get(f"setting.{each.name}", "").strip() for each in self.needs.settings}
            given = _numbers(typed, self.needs)
            known_systems().get(self.link["system"]).check_settings({**self.link["settings"], **given})
            values = {each.name: form.get(f"secret.{each.name}", "").strip() for each in self.needs.secrets}
            if missing := [name for name, value in values.items() if not value or "\0" in value]:
                raise InvalidInput(
                    "missing_secret", f"{missing[0].replace('_', ' ').capitalize()} is missing."
                )
            with room.place(str(self.link["id"])):
                references = put_away(self.link, values)
                candidate = candidate_of(self.database, self.link, given, references)
                if self.needs.consent is not None:
                    return self._away(candidate, given, references, self.needs.consent)
                return self._finish(candidate, references)
        except HeadraceError as exc:
            log.warning("consent_refused", link=str(self.link["id"]), code=exc.code)
            proof = keys.form_proof(self.session)
            return page.form(self.needs, self.link["name"], proof, typed=typed, wrong=exc.message, status=422)

    def back(self) -> Response:
        given = self.request.query_params
        state = given.get("state", "")
        taken = self.database.one(
            queries.take_state, {"digest": keys.digest_of(state), "link": self.link["id"]}
        )
        if taken is None or self.needs.consent is None:
            return page.gone()
        title = self.needs.title
        if "code" not in given:
            return page.refused(
                title, f"{title} didn't let us in. You may have said no, or your user may not say yes."
            )
        started = taken["started"]
        candidate = candidate_of(self.database, self.link, started["settings"], started["references"])
        try:
            with room.place(str(self.link["id"])):
                token = self._exchange(candidate, self.needs.consent, given["code"], state)
                references = put_away(self.link, {self.needs.consent.refresh_token: token})
                whole = {**started["references"], **references}
                candidate = candidate_of(self.database, self.link, started["settings"], whole)
                return self._finish(candidate, whole)
        except HeadraceError as exc:
            log.warning("consent_refused", link=str(self.link["id"]), code=exc.code)
            return page.refused(title, exc.message)

    def _away(
        self,
        candidate: Candidate,
        given: Mapping[str, Any],
        references: Mapping[str, str],
        consent: OAuth2Manifest,
    ) -> Response:
        state = keys.new_secret()
        address = address_to_consent(
            consent,
            candidate.settings,
            client_of(consent, candidate),
            redirect=self._callback(),
            state=state,
            challenge=keys.challenge_of(keys.verifier_of(keys.proof_key(self.settings), state)),
        )
        started = {"settings": dict(given), "references": dict(references)}
        with self.database.transaction() as tx:
            tx.execute(queries.forget_states, {"link": self.link["id"]})
            tx.execute(
                queries.keep_state,
                {"digest": keys.digest_of(state), "link": self.link["id"], "started": Jsonb(started)},
            )
        return page.away(self.needs.title, address)

    def _exchange(self, candidate: Candidate, consent: OAuth2Manifest, code: str, state: str) -> str:
        source = known_systems().get(candidate.system).bind(candidate.settings)
        form = {
            "code": code,
            "redirect_uri": self._callback(),
            "code_verifier": keys.verifier_of(keys.proof_key(self.settings), state),
        }
        with trial_sender(self.database, self.settings) as sender:
            return exchange(
                sender, source, candidate, consent, form, request_id=getattr(self.request.state, REQUEST_ID)
            )

    def _finish(self, candidate: Candidate, references: Mapping[str, str]) -> Response:
        with trial_sender(self.database, self.settings) as sender:
            rooms = Rooms(self.database, known_systems(), sender)
            done = finish(rooms, self.link, candidate, references, self.actor)
        if done.connection is None:
            return page.not_reached(self.needs.title, done.report)
        return page.connected(self.needs.title, done.report, self.link["return_url"])

    def _callback(self) -> str:
        return base_url(self.request, self.settings.public_url) + CALLBACK


def base_url(request: Request, public_url: str | None) -> str:
    """Where browsers reach us."""
    return (public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


def _link_of(database: Database, request: Request) -> tuple[dict[str, Any], str] | None:
    """The link that this browser has opened; of two cookies a neighbour planted one."""
    pairs = [
        part.strip().partition("=") for each in request.headers.getlist("cookie") for part in each.split(";")
    ]
    values = [value for key, _, value in pairs if key == COOKIE]
    if len(values) != 1:
        return None
    link = find_link(database, session=values[0])
    return None if link is None else (link, values[0])


def _is_our_form(request: Request, form: Mapping[str, str], session: str) -> bool:
    """A browser that tells no page where it comes from sends `null`; our form's own proof counts then."""
    origins = [each for each in request.headers.getlist("origin") if each != "null"]
    host, public = request.headers.get("host", ""), load_settings().public_url
    return form.get("proof") == keys.form_proof(session) and (not origins or is_ours(origins, host, public))


def _needs(database: Database, link: Mapping[str, Any]) -> Needs:
    again = None
    if link["connection_id"] is not None:
        again = database.one(editing.read_one, {"id": link["connection_id"]})
    settings = again["settings"] if again else link["settings"]
    return needs_of_link(known_systems(), link["system"], settings, link["secrets"], again)


def _numbers(typed: Mapping[str, Any], needs: Needs) -> dict[str, Any]:
    """A form holds texts; whole numbers and switches are what the manifest calls so."""
    kinds = {each.name: each.kind for each in needs.settings}
    found: dict[str, Any] = {}
    for name, text in typed.items():
        if kinds[name] == "integer" and text.lstrip("-").isdecimal():
            found[name] = int(text)
        elif kinds[name] == "boolean" and text.lower() in {"true", "false", "yes", "no"}:
            found[name] = text.lower() in {"true", "yes"}
        else:
            found[name] = text
    return found
