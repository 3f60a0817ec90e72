"""Links with which a customer connects one system, or logs one connection in again. Made, opened once, used once.

Whoever makes one may give settings and references to secrets: then these stay together, and nothing that the customer
types decides where those secrets are sent. Where the customer chooses which host is asked, it is one of the internet, now
and later: what is in our network isn't theirs to ask, unless whoever makes the link says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from psycopg.types.json import Jsonb

from scheduler.access.audit import Actor, note_act
from scheduler.access.principal import Principal
from scheduler.connections.consent.keys import digest_of, new_secret
from scheduler.connections.consent.needs import Needs, needs_of
from scheduler.connections.consent.typed import promises, queries
from scheduler.connections.editing.body import Mistaken, body_of
from scheduler.connections.editing.edit import refuse_another_tenants, refuse_taken
from scheduler.connections.editing.rights import refuse_changed, refuse_new
from scheduler.connections.file.desired import Problems
from scheduler.connections.file.reading import read_entry
from worker.connectors.describing import BadDescription
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.http.network.settings import PUBLIC


@dataclass(frozen=True, slots=True)
class NewLink:
    """What a link is for. With a `connection` (its row) it is logged in again, else a new one is made."""

    system: str
    environment: str
    name: str
    store: str
    seconds: float
    tenant: str | None = None
    labels: Mapping[str, str] | None = None
    settings: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] | None = None
    return_url: str | None = None
    private_addresses: bool = False
    """The customer may name a host in a private network, or this machine."""
    connection: Mapping[str, Any] | None = None


def create_link(
    database: Database, registry: Registry, wanted: NewLink, who: Principal, actor: Actor
) -> tuple[dict[str, Any], str]:
    """The link's row and its secret, which is shown once. Raises `InvalidInput` and `NotAllowed`."""
    again = wanted.connection
    settings = dict(again["settings"] if again else wanted.settings or {})
    kept = dict(wanted.secrets or {})
    try:
        needs = needs_of_link(registry, wanted.system, settings, kept, again)
    except BadDescription as exc:
        raise InvalidInput(exc.code, exc.message, place=f"body.{exc.place}", hint=exc.hint) from None
    asked = [each.name for each in needs.secrets]
    if needs.consent is not None:
        asked.append(needs.consent.refresh_token)
    promised = promises(wanted.store, wanted.name, wanted.environment, asked)
    open_to_all = again is not None or wanted.private_addresses or not needs.chooses_address
    network = {} if open_to_all else {"addresses": PUBLIC}
    row: dict[str, Any] = {
        "name": wanted.name, "budget": None,
        "system": wanted.system, "environment": wanted.environment, "tenant": wanted.tenant, "settings": settings,
        "secrets": {**kept, **promised}, "network": network,
    }  # fmt: skip
    if again is None:
        _check_entry(wanted, settings, row["secrets"], registry, {each.name for each in needs.settings})
        refuse_new(who, row)
    else:
        refuse_changed(who, again, {**again, "secrets": {**again["secrets"], **row["secrets"]}})
    _check_return(wanted.return_url)
    secret = new_secret()
    with database.transaction() as tx:
        tx.execute(queries.forget_old_links)
        if again is None:
            refuse_another_tenants(tx, who, wanted.tenant, "name", wanted.name)
            refuse_taken(tx, wanted.environment, wanted.name)
        made = tx.execute(
            queries.create_link,
            {
                "digest": digest_of(secret), "environment": wanted.environment, "system": wanted.system,
                "connection_id": again["id"] if again else None, "name": wanted.name, "tenant": wanted.tenant,
                "labels": Jsonb(dict(wanted.labels or {})), "settings": Jsonb(settings), "secrets": Jsonb(kept),
                "network": Jsonb(network), "store": wanted.store, "return_url": wanted.return_url, "created_by": who.token_id,
                "seconds": wanted.seconds, "ends": who.expires_at,
            },
        ).fetchone()  # fmt: skip
        assert made is not None  # noqa: S101 - INSERT … RETURNING answers
        about = {"environment": wanted.environment, "tenant": wanted.tenant, "id": made["connection_id"]}
        note_act(tx, actor, "connect_link.create", f"{wanted.name} ({made['id']})", about=about)
    return made, secret


def needs_of_link(
    registry: Registry,
    system: str,
    settings: Mapping[str, Any],
    given: Mapping[str, str],
    again: Mapping[str, Any] | None,
) -> Needs:
    """What a customer is asked for. Who logs in again at the system gives nothing else; else all secrets are asked for anew."""
    connector = registry.get(system, None if again is None else again["manifest_version"])
    if again is None:
        return needs_of(connector, settings, given, fixed=bool(given))
    needs = needs_of(connector, settings, given, fixed=True)
    if needs.consent is None:
        return needs
    kept = {name: text for name, text in again["secrets"].items() if name != needs.consent.refresh_token}
    return needs_of(connector, settings, {**kept, **given}, fixed=True)


def list_links(
    database: Database,
    who: Principal,
    *,
    limit: int,
    before: UUID | None,
    tenant: str | None = None,
    system: str | None = None,
    connection: int | None = None,
) -> list[dict[str, Any]]:
    """Those of what they see, the newest first. `connection`: those that log it in again."""
    params = {**who.view, "tenant": tenant, "system": system, "connection": connection, "limit": limit}
    params["before"] = before or UUID(int=2**128 - 1)
    return [*database.filtered(queries.list_links, params)]


def revoke_link(database: Database, link: UUID, who: Principal, actor: Actor) -> dict[str, Any]:
    """It opens nothing from now on. Harmless twice."""
    with database.transaction() as tx:
        row = tx.execute(queries.revoke_link, {**who.view, "id": link}).fetchone()
        if row is None:
            raise NotFound("unknown_connect_link", "There is no connect link with this id.")
        about = {"environment": row["environment"], "tenant": row["tenant"], "id": row["connection_id"]}
        note_act(tx, actor, "connect_link.revoke", f"{row['name']} ({link})", about=about)
        return row


def find_link(
    database: Database, *, secret: str | None = None, session: str | None = None
) -> dict[str, Any] | None:
    """The link, if it may still be used; None, whatever the reason."""
    return database.one(
        queries.find_link,
        {
            "digest": None if secret is None else digest_of(secret),
            "session": None if session is None else digest_of(session),
        },
    )


def find_done(database: Database, session: str) -> dict[str, Any] | None:
    """The link that this browser has used up; None a day later, as of any other browser."""
    return database.one(queries.find_done, {"session": digest_of(session)})


def open_link(database: Database, secret: str) -> str | None:
    """The cookie for the browser that opens it first; None for any other, and for a link that is no good."""
    link = find_link(database, secret=secret)
    if link is None:
        return None
    session = new_secret()
    taken = database.one(queries.open_link, {"id": link["id"], "session": digest_of(session)})
    return session if taken else None


def _check_entry(
    wanted: NewLink,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    registry: Registry,
    later: set[str],
) -> None:
    """What is given must be right; what is asked for is missing as yet."""
    entry = {
        "name": wanted.name, "system": wanted.system, "environment": wanted.environment, "settings": settings,
        "secrets": secrets, "labels": dict(wanted.labels or {}), **({"tenant": wanted.tenant} if wanted.tenant else {}),
    }  # fmt: skip
    try:
        read_entry(body_of(entry), registry)
    except Problems as found:
        places = {f"body.settings.{name}" for name in later} | {"body.settings"}
        real = [each for each in found.problems if each.code != "missing_key" or each.place not in places]
        if real:
            raise Mistaken(real) from None


def _check_return(url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if (
        not parts.hostname
        or parts.username
        or not (parts.scheme == "https" or local)
        or not url.isprintable()
    ):
        raise InvalidInput("bad_return_url", "It must be an https:// address.", place="body.return_url")
