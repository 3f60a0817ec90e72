"""`headrace connect`: ask what a system needs, put secrets into a store, log in where it wants that, try it, make it."""

import secrets as chance
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, clean, note, print_json, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_registry
from scheduler.connections.consent import keys
from scheduler.connections.consent.needs import Needs, needs_of
from scheduler.connections.consent.places import reference_for
from worker.errors import InvalidInput

PATIENCE = 600.0


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(connect)


def connect(
    system: Annotated[str, typer.Argument(help="The system, such as demo or tryton.")],
    *,
    name: Annotated[
        str, typer.Option(help="What the connection is called. Default: the system's name.")
    ] = "",
    environment: Annotated[str, typer.Option(help="live or test.")] = "live",
    tenant: Annotated[str, typer.Option(help="Whose data it is.")] = "",
    setting: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE; what isn't given is asked for.")
    ] = None,
    secret: Annotated[
        list[str] | None, typer.Option(help="NAME=REFERENCE; what isn't given is asked for, unseen.")
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            help="Where what you type is written to, such as vault://secret/live/ or file:///run/secrets/."
        ),
    ] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On loopback, for a log-in in the browser; 0: a free one.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Connect a system: asks what it needs, writes secrets into a store, tries it, and lists the streams that can be read.

    Example: headrace connect demo --name "Plant North" --store file:///var/lib/headrace/secrets/
    """
    from scheduler.connections.editing.body import body_of  # noqa: PLC0415 - brings the means to send
    from scheduler.connections.editing.edit import Editor, create_connection  # noqa: PLC0415
    from scheduler.connections.trial.trial import Candidate, trial_sender, try_connection  # noqa: PLC0415

    settings = command_settings()
    with open_database(settings) as database, trial_sender(database, settings) as sender:
        registry = open_registry(settings)
        connector = registry.get(system)
        given: dict[str, Any] = _pairs(setting, "--setting")
        references = _pairs(secret, "--secret")
        needs = needs_of(connector, given, references)
        name = name or connector.title
        given |= _ask_settings(needs)
        connector.check_settings(given)
        references |= _ask_secrets(needs, store, name)
        candidate = Candidate(system, environment, given, references, {})
        if needs.consent is not None:
            token = _log_in(sender, connector.bind(given), candidate, needs, port)
            references[needs.consent.refresh_token] = _put(store, name, needs.consent.refresh_token, token)
            candidate = Candidate(system, environment, given, references, {})
        report = try_connection(sender, registry, candidate, request_id=new_request_id())
        made = None
        if report.reached:
            entry = {
                "name": name,
                "system": system,
                "environment": environment,
                "settings": given,
                "secrets": references,
            }
            entry |= {"tenant": tenant} if tenant else {}
            made = create_connection(database, registry, body_of(entry), Editor(COMMAND_LINE))
    if as_json:
        print_json({"connection": made, "name": name, "summary": report.summary(), **report.as_json()})
    else:
        for finding in report.findings:
            say(clean(finding.line()))
        say(
            f"{report.summary()} {clean(name)} is connected."
            if made
            else f"{report.summary()} Nothing was connected."
        )
    if made is None:
        raise typer.Exit(Exit.FAILED)


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{option} is NAME=VALUE.")
        found[name] = value
    return found


def _ask_settings(needs: Needs) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in needs.settings:
        note(f"{each.name}: {each.description}")
        text = typer.prompt(each.name, err=True)
        found[each.name] = int(text) if each.kind == "integer" and text.isdecimal() else text
    return found


def _ask_secrets(needs: Needs, store: str, name: str) -> dict[str, str]:
    if (needs.secrets or needs.consent is not None) and store:
        reference_for(store, name, "0", "x")  # a store that is none is said before anybody types
    found = {}
    for each in needs.secrets:
        note(f"{each.name}: {each.description} {each.find or ''}".rstrip())
        value = typer.prompt(f"{each.name} (unseen)", hide_input=True, err=True)
        found[each.name] = _put(store, name, each.name, value.strip())
    return found


def _put(store: str, name: str, secret: str, value: str) -> str:
    from worker.secrets import write_secret  # noqa: PLC0415

    if not store:
        raise InvalidInput(
            "no_store",
            "What you type must be kept somewhere.",
            hint="Give --store, or --secret NAME=REFERENCE.",
        )
    reference = reference_for(store, name, chance.token_hex(4), secret)
    write_secret(reference, value)
    note(f"Written to {reference}.")
    return reference


def _log_in(sender: Any, source: Any, candidate: Any, needs: Needs, port: int) -> str:
    from scheduler.connections.consent.loopback import waiting  # noqa: PLC0415
    from scheduler.connections.consent.oauth import address_to_consent, client_of, exchange  # noqa: PLC0415

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
