"""What `headrace connect` does: it asks, puts away what is typed, has somebody log in, tries, and makes the connection.

What can be known to be wrong is said before anybody types a secret; what was typed in vain is taken out of the store again.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.commands.consent.described import described, refuse_closed
from scheduler.cli.errors import Exit
from scheduler.cli.output import clean, note, print_json, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_registry
from scheduler.connections.consent import keys
from scheduler.connections.consent.loopback import waiting
from scheduler.connections.consent.needs import Needs, needs_of, read_settings
from scheduler.connections.consent.oauth import address_to_consent, client_of, exchange
from scheduler.connections.consent.typed import Typed, clear_left, of_link, promises
from scheduler.connections.editing.body import body_of
from scheduler.connections.editing.edit import Editor, create_connection, refuse_taken
from scheduler.connections.file.desired import Problems
from scheduler.connections.file.reading import read_entry
from scheduler.connections.trial.discovery import discoverer
from scheduler.connections.trial.report import Report
from scheduler.connections.trial.trial import Candidate, trial_sender, try_connection
from scheduler.embedded.ports import require_free
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Source
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.errors import InvalidInput
from worker.http.sender import Sender
from worker.parsing.documents import suggest
from worker.secrets import check_reference

PATIENCE = 600.0
"""Seconds for a log-in in a browser."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said on the command line; `secrets` are references."""

    system: str
    name: str
    environment: str
    tenant: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    store: str
    port: int
    described: Mapping[str, Any] = field(default_factory=dict)
    """The setting `describe`, where a file gave it."""
    streams: tuple[str, ...] = ()
    """To be described as the system describes them."""


def carry_out(wanted: Wanted, *, as_json: bool) -> None:
    """Connect, and say what was found; `typer.Exit` where nothing was connected."""
    settings = command_settings()
    with open_database(settings) as database:
        registry = open_registry(settings)
        connector = registry.get(wanted.system)
        needs = needs_of(connector, {**wanted.settings, **wanted.described}, wanted.secrets)
        assert isinstance(connector, ManifestConnector)  # noqa: S101 - `needs_of` has looked
        wanted = replace(wanted, name=wanted.name or connector.title)
        _look_ahead(database, registry, connector, wanted)
        if needs.consent is not None and wanted.port:
            require_free(wanted.port, server="the log-in in a browser", setting="--port")
        clear_left(database)
        wanted = replace(wanted, store=_store(needs, wanted))
        kinds = connector.manifest_of(wanted.described).settings.values()
        typed_in = read_settings({**wanted.settings, **_ask_settings(needs)}, kinds)
        given = {**typed_in, **wanted.described}
        connector.check_settings(given)
        if wanted.streams:  # said before anybody types a secret where it can't be asked
            discoverer(registry, Candidate(wanted.system, wanted.environment, given, {}, {}))
        for_what = {"connection_id": None, "environment": wanted.environment, "name": wanted.name}
        with of_link(database, for_what) as typed, trial_sender(database, settings) as sender:
            _ask_secrets(needs, typed, wanted)
            candidate = Candidate(
                wanted.system, wanted.environment, given, {**wanted.secrets, **typed.references}, {}
            )
            if needs.consent is not None:
                token = _log_in(sender, connector.bind(given), candidate, needs, wanted.port)
                _put(typed, wanted, {needs.consent.refresh_token: token})
                candidate = replace(candidate, secrets={**wanted.secrets, **typed.references})
            if wanted.streams:
                whole = described(sender, registry, candidate, wanted.streams, new_request_id())
                candidate = replace(candidate, settings=whole)
            report = try_connection(sender, registry, candidate, request_id=new_request_id())
            made = None
            if report.reached:
                body = body_of(_entry(wanted, candidate))
                made = create_connection(database, registry, body, Editor(COMMAND_LINE))
                typed.keep()
    _say(report, wanted.name, made, kept=bool(typed.references), as_json=as_json)
    if made is None:
        raise typer.Exit(Exit.FAILED)


def _entry(wanted: Wanted, candidate: Candidate) -> dict[str, Any]:
    entry = {"name": wanted.name, "system": wanted.system, "environment": wanted.environment}
    entry |= {"tenant": wanted.tenant} if wanted.tenant else {}
    return {**entry, "settings": dict(candidate.settings), "secrets": dict(candidate.secrets)}


def _say(report: Report, name: str, made: int | None, *, kept: bool, as_json: bool) -> None:
    if as_json:
        print_json({"connection": made, "name": name, "summary": report.summary(), **report.as_json()})
        return
    for finding in report.findings:
        say(clean(finding.line()))
    done = f"{clean(name)} is connected." if made else "Nothing was connected."
    say(f"{report.summary()} {done}")
    if made is None and kept:
        note("What you typed was taken out of the store again.")


def _look_ahead(database: Database, registry: Registry, connector: ManifestConnector, wanted: Wanted) -> None:
    """What can be known to be wrong is said before anybody types a secret, or logs in."""
    _check_words(registry, wanted)
    if wanted.streams:
        refuse_closed(connector)
    manifest = connector.manifest_of(wanted.described)
    known = {"--setting": manifest.settings, "--secret": manifest.secrets}
    for option, named in (("--setting", wanted.settings), ("--secret", wanted.secrets)):
        if unknown := [each for each in named if each not in known[option]]:
            raise InvalidInput(
                "unknown_key",
                f"{connector.title} has no {option.removeprefix('--')} {unknown[0]!r}.",
                hint=suggest(unknown[0], sorted(known[option])) or None,
            )
    for each, reference in wanted.secrets.items():
        check_reference(reference, environment=wanted.environment, name=each)
    with database.transaction() as tx:
        refuse_taken(tx, wanted.environment, wanted.name)


def _check_words(registry: Registry, wanted: Wanted) -> None:
    """The name and the tenant are all that there is as yet: what else is missing is asked for."""
    try:
        read_entry(
            body_of(_entry(wanted, Candidate(wanted.system, wanted.environment, {}, {}, {}))), registry
        )
    except Problems as found:
        for each in found.problems:
            if each.place in {"body.name", "body.tenant"}:
                each.place = each.place.replace("body.", "--")
                raise each from None


def _store(needs: Needs, wanted: Wanted) -> str:
    """Where what is typed goes to: it is asked for too, and can be written."""
    store = wanted.store
    kept = [each.name for each in needs.secrets] + ([needs.consent.refresh_token] if needs.consent else [])
    if not kept:
        return store
    if not store and sys.stdin.isatty():
        note(
            "store: Where secrets are kept, by the beginning of references: file:///etc/headrace/secrets/ or vault://secret/live/"
        )
        store = _answer("store", "Give --store.")
    if not store:
        raise InvalidInput(
            "no_store",
            f"What you type must be kept somewhere: {', '.join(kept)}.",
            hint="Give --store, or --secret NAME=REFERENCE.",
        )
    try:
        promises(store, wanted.name, wanted.environment, kept)
    except InvalidInput as exc:
        exc.place = "--store"
        raise
    return store


def _ask_settings(needs: Needs) -> dict[str, str]:
    typed = {}
    for each in needs.settings:
        note(f"{each.name}: {each.told}")
        typed[each.name] = _answer(each.name, f"Give --setting {each.name}=VALUE.")
    return typed


def _ask_secrets(needs: Needs, typed: Typed, wanted: Wanted) -> None:
    values = {}
    for each in needs.secrets:
        note(f"{each.name}: {each.told}")
        hint = f"Give --secret {each.name}=REFERENCE."
        values[each.name] = _answer(f"{each.name} (unseen)", hint, unseen=True)
    _put(typed, wanted, values)


def _answer(question: str, hint: str, *, unseen: bool = False) -> str:
    """What somebody types. A script has nobody who does: it is told how to say it instead."""
    try:
        return str(typer.prompt(question, hide_input=unseen, err=True)).strip()
    except typer.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            note("")
            raise InvalidInput("nobody_answered", f"Nobody answered {question!r}.", hint=hint) from None
        raise


def _put(typed: Typed, wanted: Wanted, values: Mapping[str, str]) -> None:
    for reference in typed.put(wanted.store, wanted.name, values).values():
        note(f"Written to {reference}.")


def _log_in(sender: Sender, source: Source, candidate: Candidate, needs: Needs, port: int) -> str:
    assert needs.consent is not None  # noqa: S101 - the caller has looked
    state, verifier = keys.new_secret(), keys.new_secret()
    with waiting(port, state) as listener:
        address = address_to_consent(
            needs.consent,
            candidate.settings,
            client_of(needs.consent, candidate),
            redirect=listener.redirect,
            state=state,
            challenge=keys.challenge_of(verifier),
        )
        note(f"Open this in a browser on this machine, and log in at {needs.title}:\n{address}")
        form: Mapping[str, str] = {
            "code": listener.code(PATIENCE),
            "redirect_uri": listener.redirect,
            "code_verifier": verifier,
        }
    return exchange(sender, source, candidate, needs.consent, form, request_id=new_request_id())
