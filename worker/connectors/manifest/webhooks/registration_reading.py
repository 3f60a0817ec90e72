"""What does a manifest say of registration? `webhooks.register` is checked beyond its schema and becomes frozen data."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors.manifest.templates import names_in
from worker.connectors.manifest.webhooks.proving import AT, names_of, read_where
from worker.connectors.manifest.webhooks.registration import (
    OURS,
    Call,
    RegistrationManifest,
    Shown,
    names_in_body,
)
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.parsing.documents import Document, suggest
from worker.parsing.durations import parse_duration
from worker.webhooks.schemes import Scheme, SecretPath

Found = Mapping[str, Any]
_HERE = (*AT, "register")
_ASKED_BY_PATHS = frozenset({"rest", "odata"})
_METHODS = {"list": "GET", "create": "POST", "renew": "POST", "enable": "POST", "remove": "DELETE"}


def read_registration(document: Document, schemes: Sequence[Scheme]) -> RegistrationManifest | None:
    """None: people register webhooks by hand at this system."""
    found: Found | None = document.data["webhooks"].get("register")
    if found is None:
        return None
    if document.data["protocol"] not in _ASKED_BY_PATHS:
        message = "Webhooks are registered at systems of the protocols rest and odata."
        raise document.error(_HERE, "bad_value", message)
    calls = {name: _call(document, found, name) for name in _METHODS if name in found}
    secret = names_of(document, _HERE, found)[0] if "secret" in found else None
    create: Found = found["create"]
    topics = found.get("topics", ())
    _check_names(document, found, secret, topics)
    expires = found.get("expires")
    expires_at: Found = expires if isinstance(expires, Mapping) else {"field": expires}
    topic, topic_in = _topic(document, found)
    return RegistrationManifest(
        list=calls["list"],
        records=field_path_of(found["list"]["records"]) if found["list"].get("records") else (),
        shown=Shown(
            id=field_path_of(found.get("id", "id")),
            url=field_path_of(found["url"]),
            topic=topic,
            topic_in=topic_in,
            enabled=read_where({"where": found.get("enabled", {})}),
            expires=field_path_of(expires_at["field"]) if expires else None,
            expires_form=expires_at.get("format", "iso8601"),
        ),
        create=calls["create"],
        remove=calls["remove"],
        answer=field_path_of(create["answer"]) if "answer" in create else (),
        handed_out=field_path_of(create["secret"]) if "secret" in create else None,
        renew=calls.get("renew"),
        enable=calls.get("enable"),
        secret=secret,
        path_secret=next((scheme.secrets[0] for scheme in schemes if isinstance(scheme, SecretPath)), None),
        topics=tuple(topics),
        lasts=parse_duration(found["lasts"]) if "lasts" in found else None,
        before=parse_duration(found.get("before", "1d")),
        every=parse_duration(found.get("every", "1h")),
    )


def _topic(document: Document, found: Found) -> tuple[FieldPath | None, re.Pattern[str] | None]:
    given = found.get("topic")
    if not isinstance(given, Mapping):
        return (None if given is None else field_path_of(given)), None
    try:
        return field_path_of(given["path"]), re.compile(given["pattern"])
    except re.error as exc:
        message = f"This is no regular expression: {exc}."
        raise document.error((*_HERE, "topic", "pattern"), "bad_value", message) from None


def _call(document: Document, found: Found, name: str) -> Call:
    about: Found = found[name]
    known = {*document.data.get("settings", {})}
    for part in ("path", "params", "headers", "body"):
        for used in names_in_body(about.get(part)):
            allowed = known | (OURS - {"id"} if name == "create" else OURS)
            if name == "list" or part != "body":
                allowed = known | ({"id"} if name in {"renew", "enable", "remove"} else set())
            if used not in allowed:
                message = f"{{{used}}} stands for nothing here."
                where = (*_HERE, name, part)
                raise document.error(where, "bad_value", message, hint=suggest(used, allowed) or None)
    if name == "remove" and "id" not in [*names_in(about["path"]), *names_in_body(about.get("params"))]:
        raise document.error((*_HERE, name, "path"), "bad_value", "It must say which: {id}.")
    return Call(
        about.get("method", _METHODS[name]),
        about["path"],
        about.get("params", {}),
        about.get("headers", {}),
        about.get("body"),
    )


def _check_names(document: Document, found: Found, secret: str | None, topics: Sequence[str]) -> None:
    create: Found = found["create"]
    used = {
        name
        for call in ("create", "renew", "enable")
        for name in names_in_body(found.get(call, {}).get("body"))
    }
    if "url" not in names_in_body(create.get("body")):
        raise document.error((*_HERE, "create"), "bad_value", "Its body must say where to send: {url}.")
    if ("secret" in used or "secret" in create) and secret is None:
        message = "`secret` is missing: the name of the secret that is sent, or handed out."
        raise document.error(_HERE, "bad_value", message)
    if "secret" in used and "secret" in create:
        raise document.error(
            (*_HERE, "create", "secret"), "bad_value", "Either we choose the secret, or the system does."
        )
    if ("expires" in used) != ("lasts" in found):
        raise document.error(_HERE, "bad_value", "{expires} in a body and `lasts` go together.")
    if topics and "secret" in create:
        message = (
            "A secret that is handed out for each topic has no place of its own: one webhook must be for all."
        )
        raise document.error((*_HERE, "topics"), "bad_value", message)
    if bool(topics) != ("topic" in found) or bool(topics) != ("topic" in used):
        raise document.error(
            _HERE, "bad_value", "`topics`, `topic` and {topic} in the body of `create` go together."
        )
