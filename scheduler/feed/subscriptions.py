"""Subscriptions as people ask for them: by the names of connections and streams. Looked at, too: who isn't told any more?"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import DictRow

from scheduler.access.allowed import NotAllowed, may_point_at
from scheduler.access.audit import COMMAND_LINE, Actor, note_act
from scheduler.access.principal import Principal
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.connections.view import EVERYTHING, View
from scheduler.feed.changes import position_named
from scheduler.health.looks import Finding
from worker.db.database import Database
from worker.errors import HeadraceError, InvalidInput
from worker.feed.spaces import LIMITS
from worker.http.wire.destination import AddressRefused
from worker.outbound.address import check_host, read_target
from worker.outbound.message import open_signers
from worker.outbound.retry import Failed
from worker.outbound.subscriptions import Noting, add_subscription, find_subscription, subscriptions
from worker.outbound.trial import send_trial
from worker.secrets import EITHER, check_reference

_TIMES = ("created_at", "last_success_at", "last_failure_at", "failing_since", "next_at")


def add_named(
    database: Database,
    name: str,
    url: str,
    secret: str,
    *,
    connection: str | None = None,
    stream: str | None = None,
    kinds: Sequence[str] | None = None,
    begin: str = "now",
    view: View = EVERYTHING,
    space: str = "",
    actor: Actor = COMMAND_LINE,
) -> dict[str, Any]:
    """The new subscription, to what `view` shows of this; `space` is that of its name. Raises `NotFound` and `InvalidInput`, also for an address that events must not go to."""
    found = None if connection is None else find_connection(database, connection, view)
    if found is not None and stream is not None:
        find_stream(database, found, stream)
    _refuse_address(url)
    check_reference(secret, environment=view["environment"] or (found or {}).get("environment") or EITHER)
    number = add_subscription(
        database,
        name,
        url,
        secret,
        connection_id=found["id"] if found else None,
        stream=stream,
        kinds=kinds,
        position=position_named(database, begin, place="begin"),
        view=view,
        space=space,
        noting=noted(actor, "subscription.create", name, view=view, connection=found),
    )
    return next(dict(row) for row in subscriptions(database) if row["id"] == number)


def noted(
    actor: Actor,
    action: str,
    name: str,
    *,
    view: View = EVERYTHING,
    connection: Mapping[str, Any] | None = None,
) -> Noting:
    """What writes down in the audit log who wanted it: about its connection, or all that it may tell of."""
    about = connection or {"environment": view["environment"] or actor.environment}

    def note(tx: psycopg.Connection[DictRow]) -> None:
        note_act(tx, actor, action, f"subscription {name}", about=about)

    return note


def allowed_secret(who: Principal, reference: str) -> str:
    """The reference, if they may have events signed with what is behind it. Raises `NotAllowed`."""
    check_reference(reference, environment=who.environment)
    if not may_point_at(who, reference):
        raise NotAllowed(
            "secret_not_allowed",
            "This token may not have events signed with that secret.",
            place="body.secret",
            hint="A token's `secret_prefixes` say which references it may use.",
        )
    return reference


def subscription_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A contract: fields are added, never changed or removed. The secret is its reference."""
    return {
        "id": row["id"],
        "name": row["name"],
        "url": row["url"],
        "secret": row["secret"],
        "connection": row["connection"],
        "stream": row["stream"],
        "kinds": row["kinds"],
        "view": {limit: row[limit] for limit in LIMITS},
        "state": row["state"],
        "reason": row["reason"],
        "position": row["position"],
        "replays_since": row["replay_since"],
        "delivered": row["delivered"],
        "waiting": {
            "records": row["pending"],
            "given_up": row["given_up"],
            "next_at": row["pending_next_at"],
        },
        **{name: row[name] for name in _TIMES},
        "last_error": row["last_error"],
    }


def try_out(database: Database, name: str, *, loopback: bool, view: View = EVERYTHING) -> Failed | None:
    """Send a test message now; None: it was taken."""
    return send_trial(find_subscription(database, name, view), loopback=loopback)


def look_at_subscriptions(database: Database) -> list[Finding]:
    """Who isn't told any more, and for whom something waits?"""
    rows = subscriptions(database)
    findings = []
    for row in rows:
        name = row["name"]
        if row["state"] == "disabled":
            hint = f"Mend its receiver, then `headrace subscriptions resume {name}`."
            findings.append(Finding("events", "fail", f"{name} is disabled: {row['reason']}", hint))
        elif row["failing_since"] is not None:
            words = f"{name}: nothing was delivered since {row['failing_since']:%Y-%m-%d %H:%M} UTC; {row['last_error']}"
            findings.append(Finding("events", "warn", words, f"See `headrace subscriptions show {name}`."))
        elif row["given_up"]:
            words = f"{name}: {row['given_up']} records were refused for days and given up; {row['pending_error']}"
            hint = f"Mend its receiver, then `headrace subscriptions resume {name}`."
            findings.append(Finding("events", "warn", words, hint))
        findings += _look_at_secret(row)
    return findings or [Finding("events", "ok", f"{len(rows)} subscriptions")]


def _refuse_address(url: str) -> None:
    """What is refused at every delivery is refused at once. A name that isn't known here may be known to workers."""
    target = read_target(url, place="url")
    try:
        check_host(target, loopback=True)
    except AddressRefused as exc:
        raise InvalidInput(exc.code, exc.message, place="url", hint=exc.hint) from None
    except (OSError, UnicodeError):
        return


def _look_at_secret(row: Mapping[str, Any]) -> list[Finding]:
    try:
        open_signers(row)
    except HeadraceError as exc:
        words = f"{row['name']}: its secret can't be used here: {exc.message}"
        return [Finding("events", "warn", words, exc.hint)]
    return []
