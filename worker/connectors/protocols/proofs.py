"""Which proof does a manifest ask for? From the manifest's words to the generator that gives it."""

from collections.abc import Mapping
from typing import Any

from worker.connectors.auth import BasicAuth, Credential, HeaderAuth, NoAuth
from worker.connectors.contract import Auth
from worker.connectors.manifest.model import AuthManifest


def make_auth(found: AuthManifest, settings: Mapping[str, Any]) -> Auth:
    """The auth of one connection; a Tryton session is made by its own protocol."""
    match found.kind:
        case "bearer":
            return HeaderAuth("Authorization", "Bearer ", found.secret)
        case "header":
            return HeaderAuth(found.name, found.prefix, found.secret)
        case "basic":
            return BasicAuth(username_of(found, settings), Credential(secret=found.password))
        case "oauth2" if found.oauth2 is not None:
            return found.oauth2.bind(settings)
        case _:
            return NoAuth()


def username_of(found: AuthManifest, settings: Mapping[str, Any]) -> Credential:
    """A user's name is a setting or a secret."""
    if found.username is not None:
        return found.username
    return Credential(value=str(settings.get(found.username_setting or "") or ""))
