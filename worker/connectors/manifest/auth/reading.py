"""Which ways to prove who we are does a manifest name? One of them, or none; headers, texts in the body and a CSRF token may come on top."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from worker.connectors.auth import BasicAuth, Credential, HeaderAuth, NoAuth
from worker.connectors.auth.bodies import BodyAuth, Place
from worker.connectors.auth.csrf import CsrfAuth
from worker.connectors.auth.headers import HeadersAuth
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Auth
from worker.connectors.manifest.auth.login import LoginManifest, read_login
from worker.connectors.manifest.auth.oauth2 import OAuth2Manifest, read_oauth2
from worker.connectors.manifest.auth.signing import read_oauth1, read_sign
from worker.connectors.manifest.auth.texts import (
    check_address,
    credential,
    optional_secrets,
    read_places,
    read_texts,
)
from worker.connectors.manifest.checking import check_credential, check_secret
from worker.connectors.manifest.errors import read_errors
from worker.connectors.manifest.templates import fill_path
from worker.connectors.refusals.refusals import Refusals
from worker.parsing.documents import Document

Settings = Mapping[str, Any]
LAYERS = ("headers", "body", "csrf")
"""What may stand beside a way, or alone."""


class Way(Protocol):
    """One way, as a manifest describes it."""

    def bind(self, settings: Settings) -> Auth:
        """The auth of one connection."""
        ...


@dataclass(frozen=True, slots=True)
class AuthManifest:
    """How requests prove who they are."""

    kind: str = "none"
    way: Way | None = None
    """None: nobody is asked, or the protocol knows how (Tryton)."""
    user: "UserManifest | None" = None
    """For a log-in that the protocol makes."""
    headers: "HeadersManifest | None" = None
    body: "BodyManifest | None" = None
    csrf: "CsrfManifest | None" = None

    @property
    def oauth2(self) -> OAuth2Manifest | None:
        return self.way if isinstance(self.way, OAuth2Manifest) else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where else than to the base URL secrets go, as templates."""
        if isinstance(self.way, OAuth2Manifest):
            return (self.way.token_url,)
        return self.way.addresses if isinstance(self.way, LoginManifest) else ()

    def bind(self, settings: Settings) -> Auth:
        """The auth of one connection."""
        return self.around(NoAuth() if self.way is None else self.way.bind(settings), settings)

    def around(self, auth: Auth, settings: Settings) -> Auth:
        """The same with what comes on top."""
        if self.body is not None:
            auth = self.body.bind(auth, settings)
        if self.headers is not None:
            auth = self.headers.bind(auth, settings, alone=self.kind == "headers")
        return auth if self.csrf is None else self.csrf.bind(auth, settings)


@dataclass(frozen=True, slots=True)
class HeaderManifest:
    """`bearer` and `header`: a secret in one header."""

    auth: HeaderAuth

    def bind(self, settings: Settings) -> Auth:
        del settings
        return self.auth


@dataclass(frozen=True, slots=True)
class UserManifest:
    """`basic` and `tryton`: a user, who may be a setting, and a password."""

    user: Mapping[str, str]
    password: str

    def username(self, settings: Settings) -> Credential:
        return credential(self.user, settings)

    def bind(self, settings: Settings) -> Auth:
        return BasicAuth(self.username(settings), Credential(secret=self.password))


@dataclass(frozen=True, slots=True)
class HeadersManifest:
    """`headers`: several at once."""

    texts: Mapping[str, Text]
    optional: frozenset[str]

    def bind(self, inner: Auth, settings: Settings, *, alone: bool) -> Auth:
        return HeadersAuth(inner, self.texts, Names.of(settings, self.optional), alone)


@dataclass(frozen=True, slots=True)
class BodyManifest:
    """`body`: texts in the body of every request."""

    places: tuple[Place, ...]
    optional: frozenset[str]

    def bind(self, inner: Auth, settings: Settings) -> Auth:
        return BodyAuth(inner, self.places, Names.of(settings, self.optional))


@dataclass(frozen=True, slots=True)
class CsrfManifest:
    """`csrf`: a token against forgery."""

    path: str
    found: Mapping[str, Any]
    refusals: Refusals

    def bind(self, inner: Auth, settings: Settings) -> Auth:
        cookies = self.found.get("cookies", "all")
        return CsrfAuth(
            inner,
            url=fill_path(self.path, settings),
            method=self.found.get("method", "GET"),
            header=self.found.get("header", "x-csrf-token"),
            asks=self.found.get("asks", "Fetch"),
            refused=self.found.get("refused", "Required"),
            cookies=None if cookies == "all" else frozenset(cookies),
            meaning=self.refusals.failure,
        )


def read_auth(document: Document) -> AuthManifest:
    """The section `auth`, checked for what a schema can't see."""
    found: dict[str, dict[str, Any]] = document.data.get("auth") or {}
    kinds = [kind for kind in found if kind not in LAYERS]
    if len(kinds) > 1:
        message = f"There is one way to prove who we are; here are {' and '.join(kinds)}."
        hint = f"Beside one of them there may be {', '.join(LAYERS)}."
        raise document.error(("auth", kinds[1]), "bad_value", message, hint=hint)
    headers = body = csrf = None
    if "headers" in found:
        texts = read_texts(document, ("auth", "headers"), found["headers"])
        headers = HeadersManifest(texts, optional_secrets(document))
    if "body" in found:
        places = read_places(document, ("auth", "body"), found["body"])
        body = BodyManifest(places, optional_secrets(document))
    if "csrf" in found:
        check_address(document, ("auth", "csrf", "path"), found["csrf"]["path"])
        csrf = CsrfManifest(found["csrf"]["path"], found["csrf"], read_errors(document))
    if not kinds:
        kind = "headers" if headers is not None else "none" if body is None else "body"
        return AuthManifest(kind, headers=headers, body=body, csrf=csrf)
    way = _WAYS[kinds[0]](document, found[kinds[0]])
    if kinds[0] == "tryton" and isinstance(way, UserManifest):
        return AuthManifest(kinds[0], user=way, headers=headers, body=body, csrf=csrf)
    return AuthManifest(kinds[0], way, headers=headers, body=body, csrf=csrf)


def _none(document: Document, found: Mapping[str, Any]) -> None:
    del document, found


def _bearer(document: Document, found: Mapping[str, Any]) -> HeaderManifest:
    check_secret(document, ("auth", "bearer", "secret"), found["secret"])
    return HeaderManifest(HeaderAuth("Authorization", "Bearer ", found["secret"]))


def _header(document: Document, found: Mapping[str, Any]) -> HeaderManifest:
    check_secret(document, ("auth", "header", "secret"), found["secret"])
    return HeaderManifest(HeaderAuth(found["name"], found.get("prefix", ""), found["secret"]))


def _basic(document: Document, found: Mapping[str, Any]) -> UserManifest:
    return _user(document, "basic", found)


def _tryton(document: Document, found: Mapping[str, Any]) -> UserManifest:
    if document.data["protocol"] != "tryton":
        message = "Tryton sessions go with the protocol tryton only."
        raise document.error(("auth", "tryton"), "bad_value", message)
    return _user(document, "tryton", found)


def _user(document: Document, kind: str, found: Mapping[str, Any]) -> UserManifest:
    check_credential(document, ("auth", kind, "username"), found["username"])
    if "secret" not in found["password"]:
        message = "A password is a secret: {secret: name}."
        raise document.error(("auth", kind, "password"), "bad_value", message)
    check_credential(document, ("auth", kind, "password"), found["password"])
    return UserManifest(found["username"], found["password"]["secret"])


_WAYS: Mapping[str, Callable[[Document, Mapping[str, Any]], Way | None]] = {
    "none": _none,
    "bearer": _bearer,
    "header": _header,
    "basic": _basic,
    "tryton": _tryton,
    "oauth2": read_oauth2,
    "login": read_login,
    "sign": read_sign,
    "oauth1": read_oauth1,
}
