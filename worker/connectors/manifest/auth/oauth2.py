"""What does a manifest say of OAuth 2.0? Where tokens are given out and for what, and where a person consents to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.connectors.auth.jwt import Algorithm, Assertion
from worker.connectors.auth.oauth2 import ClientAuth, Grant, OAuth2
from worker.connectors.auth.texts import Names
from worker.connectors.manifest.auth.texts import check_address, check_json, credential, optional_secrets
from worker.connectors.manifest.checking import (
    check_credential,
    check_mixed_template,
    check_secret,
    check_template,
)
from worker.connectors.manifest.templates import fill, fill_all, fill_base_url
from worker.errors import InvalidInput
from worker.parsing.documents import Document
from worker.parsing.durations import parse_duration

_AT = ("auth", "oauth2")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "client_credentials": ("client_id",),
    "refresh_token": ("client_id", "refresh_token"),
    "password": ("username", "password"),
    "jwt_bearer": ("assertion",),
}


@dataclass(frozen=True, slots=True)
class Authorise:
    """Where a person lets Headrace in: the authorization code flow."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    pkce: bool = True


@dataclass(frozen=True, slots=True)
class AssertionManifest:
    """The section `assertion`: a token that a private key signs."""

    key: str
    algorithm: Algorithm
    kid: str | None
    issuer: str | None
    subject: str | None
    audience: str | None
    lasts: float
    claims: Mapping[str, Any]
    optional: frozenset[str]

    @classmethod
    def read(cls, document: Document, found: Mapping[str, Any]) -> "AssertionManifest":
        where = (*_AT, "assertion")
        check_secret(document, (*where, "key"), found["key"])
        for part in ("kid", "issuer", "subject"):
            check_mixed_template(document, (*where, part), found.get(part, ""))
        check_address(document, (*where, "audience"), found.get("audience", ""))
        check_json(document, (*where, "claims"), found.get("claims", {}))
        return cls(
            key=found["key"],
            algorithm=found.get("algorithm", "RS256"),
            kid=found.get("kid"),
            issuer=found.get("issuer"),
            subject=found.get("subject"),
            audience=found.get("audience"),
            lasts=parse_duration(found.get("lasts", "5m")),
            claims=found.get("claims", {}),
            optional=optional_secrets(document),
        )

    def bind(self, settings: Mapping[str, Any], token_url: str) -> Assertion:
        """Meant for whoever gives out tokens, if nothing else is said."""
        return Assertion(
            key=self.key,
            names=Names.of(settings, self.optional),
            audience=token_url if self.audience is None else fill(self.audience, settings) or token_url,
            algorithm=self.algorithm,
            kid=self.kid,
            issuer=self.issuer,
            subject=self.subject,
            lasts=self.lasts,
            claims=self.claims,
        )


@dataclass(frozen=True, slots=True)
class OAuth2Manifest:
    """The section `auth: {oauth2: …}`. Texts may hold `{name}` for settings."""

    grant: Grant
    token_url: str
    client_id: Mapping[str, str] | None
    client_secret: str | None
    client_auth: ClientAuth
    refresh_token: str
    replaces: bool
    scopes: tuple[str, ...]
    params: Mapping[str, str]
    authorise: Authorise | None
    username: Mapping[str, str] | None = None
    password: str = ""
    assertion: AssertionManifest | None = None

    @classmethod
    def read(cls, document: Document, found: Mapping[str, Any]) -> "OAuth2Manifest":
        """From the section as it fits the schema."""
        consent = found.get("authorize")
        return cls(
            grant=found["grant"],
            token_url=found["token_url"],
            client_id=found.get("client_id"),
            client_secret=found.get("client_secret"),
            client_auth=found.get("client_auth", "basic"),
            refresh_token=found.get("refresh_token", ""),
            replaces=found.get("rotates", True),
            scopes=tuple(found.get("scopes", ())),
            params=found.get("params", {}),
            authorise=None
            if consent is None
            else Authorise(consent["url"], consent.get("params", {}), consent.get("pkce", True)),
            username=found.get("username"),
            password=found.get("password", ""),
            assertion=AssertionManifest.read(document, found["assertion"]) if "assertion" in found else None,
        )

    def bind(self, settings: Mapping[str, Any]) -> OAuth2:
        """The auth of one connection."""
        token_url = fill_base_url(self.token_url, settings)
        return OAuth2(
            token_url=token_url,
            grant=self.grant,
            client_id=None if self.client_id is None else credential(self.client_id, settings),
            client_secret=self.client_secret,
            client_auth=self.client_auth,
            refresh_token=self.refresh_token,
            replaces=self.replaces,
            scopes=[text for scope in self.scopes if (text := fill(scope, settings)) is not None],
            params=fill_all(self.params, settings),
            username=None if self.username is None else credential(self.username, settings),
            password=self.password,
            assertion=None if self.assertion is None else self.assertion.bind(settings, token_url),
        )

    def authorise_url(self, settings: Mapping[str, Any]) -> str:
        """Where a person consents, without what is asked for. Raises `InvalidInput` where the system has no such place."""
        if self.authorise is None:
            raise InvalidInput("no_consent", "The system's manifest names no address at which to consent.")
        return fill_base_url(self.authorise.url, settings)


def read_oauth2(document: Document, found: Mapping[str, Any]) -> OAuth2Manifest:
    """The section, checked for what a schema can't see."""
    _check_names(document, found)
    grant, asserted = found["grant"], found.get("client_auth") == "private_key_jwt"
    needed = _NEEDED[grant]
    if grant == "client_credentials":
        needed = (*needed, "assertion" if asserted else "client_secret")
    if "authorize" in found:
        needed = (*needed, "client_id")
    for part in needed:
        if part not in found:
            message = f"The grant {grant} needs {part}: {_WHAT.get(part, 'the name of a secret')}."
            raise document.error(_AT, "bad_value", message)
    if asserted and ("assertion" not in found or grant == "jwt_bearer"):
        message = "A client that proves itself by private_key_jwt has an assertion, and another grant than jwt_bearer."
        raise document.error((*_AT, "client_auth"), "bad_value", message)
    if "assertion" in found and not asserted and grant != "jwt_bearer":
        message = "An assertion goes with the grant jwt_bearer, or with client_auth: private_key_jwt."
        raise document.error((*_AT, "assertion"), "bad_value", message)
    return OAuth2Manifest.read(document, found)


_WHAT = {
    "client_id": "{secret: name} or {setting: name}",
    "username": "{secret: name} or {setting: name}",
    "assertion": "what the token says, and the name of the private key",
}


def _check_names(document: Document, found: Mapping[str, Any]) -> None:
    for part in ("client_secret", "refresh_token", "password"):
        if part in found:
            check_secret(document, (*_AT, part), found[part])
    for part in ("client_id", "username"):
        if part in found:
            check_credential(document, (*_AT, part), found[part])
    consent = found.get("authorize", {})
    check_template(document, (*_AT, "token_url"), found["token_url"], optional=False)
    check_template(document, (*_AT, "authorize", "url"), consent.get("url", ""), optional=False)
    for scope in found.get("scopes", ()):
        check_template(document, (*_AT, "scopes"), scope, optional=True)
    for where, texts in ((_AT, found), ((*_AT, "authorize"), consent)):
        for name, text in texts.get("params", {}).items():
            check_template(document, (*where, "params", name), text, optional=True)
