"""One request of a browser that has opened a link: what it gives is put away, tried, and made a connection, or taken back.

A state of OAuth is good once, for a quarter of an hour, and for that browser. What goes wrong on our side is told without
what stands behind it: whoever has a link learns nothing of our stores. Emits: consent_refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from fastapi import Request
from psycopg.types.json import Jsonb
from starlette.responses import Response

from scheduler.access.audit import Actor
from scheduler.api.consent import page
from scheduler.api.problems import REQUEST_ID
from scheduler.api.who import source_of
from scheduler.connections.consent import keys, typed
from scheduler.connections.consent.finish import LinkDone, LinkGone, Rooms, candidate_of, finish
from scheduler.connections.consent.links import needs_of_link
from scheduler.connections.consent.needs import Needs, read_settings
from scheduler.connections.consent.oauth import CALLBACK, address_to_consent, client_of, exchange
from scheduler.connections.consent.typed import queries
from scheduler.connections.editing.edit import queries as editing
from scheduler.connections.systems import known_systems
from scheduler.connections.trial.room import room
from scheduler.connections.trial.trial import Candidate, trial_sender
from worker.config import load_settings
from worker.connectors.manifest.auth.oauth2 import OAuth2Manifest
from worker.db.database import Database
from worker.errors import HeadraceError, InvalidInput

log = structlog.get_logger()


class Visit:
    """The link that the browser has, and what it asks for."""

    def __init__(self, database: Database, request: Request, link: dict[str, Any], session: str) -> None:
        self.database, self.request, self.link, self.session = database, request, link, session
        self.settings = load_settings()
        self.needs = needs_now(database, link)
        self.request_id: str = getattr(request.state, REQUEST_ID)
        self.actor = Actor(
            "connect-link", link["created_by"], link["environment"], self.request_id, source_of(request)
        )

    def give(self, form: Mapping[str, str]) -> Response:
        """The form: on to the system's own log-in, or to the trial."""
        settings: dict[str, str] = {}
        try:
            settings = {
                each.name: form.get(f"setting.{each.name}", "").strip() for each in self.needs.settings
            }
            given = read_settings(settings, self.needs.settings)
            known_systems().get(self.link["system"]).check_settings({**self.link["settings"], **given})
            values = self._secrets(form)
            with room.place(str(self.link["id"])), typed.of_link(self.database, self.link) as put:
                references = put.put(self.link["store"], self.link["name"], values)
                candidate = candidate_of(self.database, self.link, given, references)
                if self.needs.consent is not None:
                    answer = self._away(candidate, given, references, self.needs.consent)
                    put.keep()
                    return answer
                return self._finish(candidate, put, lambda words: self._again(settings, words))
        except HeadraceError as exc:
            return self._refused(exc) or self._again(settings, page.said(exc))

    def back(self) -> Response:
        """The answer of somebody who logged in at the system, or said no there."""
        given = self.request.query_params
        state = given.get("state", "")
        note = typed.new_note()
        taken = self.database.one(
            queries.take_state, {"digest": keys.digest_of(state), "link": self.link["id"], "note": note}
        )
        title = self.needs.title
        if taken is None or self.needs.consent is None:
            return page.refused(title, "This log-in was answered already, or took too long.")
        started = taken["started"]
        try:
            with typed.of_link(self.database, self.link, started["references"], note) as put:
                if "code" not in given:
                    words = f"{title} didn't let us in. You may have said no, or your user may not say yes."
                    return page.refused(title, words)
                with room.place(str(self.link["id"])):
                    candidate = self._candidate(started["settings"], put)
                    token = self._exchange(candidate, self.needs.consent, given["code"], state)
                    put.put(self.link["store"], self.link["name"], {self.needs.consent.refresh_token: token})
                    candidate = self._candidate(started["settings"], put)
                    return self._finish(candidate, put, lambda words: page.refused(title, words))
        except HeadraceError as exc:
            return self._refused(exc) or page.refused(title, page.said(exc))

    def _secrets(self, form: Mapping[str, str]) -> dict[str, str]:
        values = {each.name: form.get(f"secret.{each.name}", "").strip() for each in self.needs.secrets}
        if missing := [name for name, value in values.items() if not value or "\0" in value]:
            raise InvalidInput("missing_key", f"{missing[0].replace('_', ' ').capitalize()} is missing.")
        return values

    def _candidate(self, settings: Mapping[str, Any], put: typed.Typed) -> Candidate:
        return candidate_of(self.database, self.link, settings, put.references)

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
            over = tx.execute(queries.end_states, {"link": self.link["id"]}).fetchall()
            tx.execute(
                queries.keep_state,
                {"digest": keys.digest_of(state), "link": self.link["id"], "started": Jsonb(started)},
            )
        typed.forget(self.database, over)
        return page.away(self.needs.title, address)

    def _exchange(self, candidate: Candidate, consent: OAuth2Manifest, code: str, state: str) -> str:
        source = known_systems().get(candidate.system, candidate.manifest_version).bind(candidate.settings)
        form = {
            "code": code,
            "redirect_uri": self._callback(),
            "code_verifier": keys.verifier_of(keys.proof_key(self.settings), state),
        }
        with trial_sender(self.database, self.settings) as sender:
            return exchange(sender, source, candidate, consent, form, request_id=self.request_id)

    def _finish(self, candidate: Candidate, put: typed.Typed, refused: Callable[[str], Response]) -> Response:
        with trial_sender(self.database, self.settings) as sender:
            rooms = Rooms(self.database, known_systems(), sender)
            done = finish(rooms, self.link, candidate, put.references, self.actor)
        if done.connection is None:
            return refused(page.why_not(done.report))
        put.keep()
        return page.connected(self.needs.title, done.report, self.link["return_url"])

    def _again(self, settings: Mapping[str, str], wrong: str) -> Response:
        """The form with what they typed, so that only what is wrong, and what is secret, is typed anew."""
        proof = keys.form_proof(self.session)
        return page.form(self.needs, self.link["name"], proof, typed=settings, wrong=wrong, status=422)

    def _refused(self, exc: HeadraceError) -> Response | None:
        """Where another form makes no difference."""
        if isinstance(exc, LinkDone):
            return page.done(self.needs.title, self.link["return_url"])
        log.warning("consent_refused", link=str(self.link["id"]), code=exc.code)
        return page.gone() if isinstance(exc, LinkGone) else None

    def _callback(self) -> str:
        return base_url(self.request, self.settings.public_url) + CALLBACK


def base_url(request: Request, public_url: str | None) -> str:
    """Where browsers reach us."""
    return (public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


def needs_now(database: Database, link: Mapping[str, Any]) -> Needs:
    """What the link asks for, of its connection as it is now."""
    again = None
    if link["connection_id"] is not None:
        again = database.one(editing.read_one, {"id": link["connection_id"]})
    settings = again["settings"] if again else link["settings"]
    return needs_of_link(known_systems(), link["system"], settings, link["secrets"], again)
