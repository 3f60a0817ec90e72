"""What does a manifest say of OAuth 2.0? Where tokens are given out and for what, and where a person consents to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.connectors.auth import Credential
from worker.connectors.manifest.templates import fill, fill_all, fill_base_url
from worker.connectors.oauth2 import ClientAuth, OAuth2
from worker.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Authorise:
    """Where a person lets Headrace in: the authorization code flow."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    pkce: bool = True


@dataclass(frozen=True, slots=True)
class OAuth2Manifest:
    """The section `auth: {oauth2: …}`. Texts may hold `{name}` for settings."""

    grant: Literal["client_credentials", "refresh_token"]
    token_url: str
    client_id: Credential | None
    client_id_setting: str | None
    client_secret: str | None
    client_auth: ClientAuth
    refresh_token: str
    replaces: bool
    scopes: tuple[str, ...]
    params: Mapping[str, str]
    authorise: Authorise | None

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "OAuth2Manifest":
        """From the section as it fits the schema."""
        client, consent = found["client_id"], found.get("authorize")
        return cls(
            grant=found["grant"],
            token_url=found["token_url"],
            client_id=Credential(secret=client["secret"]) if "secret" in client else None,
            client_id_setting=client.get("setting"),
            client_secret=found.get("client_secret"),
            client_auth=found.get("client_auth", "basic"),
            refresh_token=found.get("refresh_token", ""),
            replaces=found.get("rotates", True),
            scopes=tuple(found.get("scopes", ())),
            params=found.get("params", {}),
            authorise=None
            if consent is None
            else Authorise(consent["url"], consent.get("params", {}), consent.get("pkce", True)),
        )

    def bind(self, settings: Mapping[str, Any]) -> OAuth2:
        """The auth of one connection."""
        setting = str(settings.get(self.client_id_setting or "") or "")
        return OAuth2(
            token_url=fill_base_url(self.token_url, settings),
            grant=self.grant,
            client_id=self.client_id or Credential(value=setting),
            client_secret=self.client_secret,
            client_auth=self.client_auth,
            refresh_token=self.refresh_token,
            replaces=self.replaces,
            scopes=[text for scope in self.scopes if (text := fill(scope, settings)) is not None],
            params=fill_all(self.params, settings),
        )

    def authorise_url(self, settings: Mapping[str, Any]) -> str:
        """Where a person consents, without what is asked for. Raises `InvalidInput` where the system has no such place."""
        if self.authorise is None:
            raise InvalidInput("no_consent", "The system's manifest names no address at which to consent.")
        return fill_base_url(self.authorise.url, settings)
