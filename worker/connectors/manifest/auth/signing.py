"""What does a manifest say of signing each request? The sections `auth: {sign: …}` and `auth: {oauth1: …}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.auth.oauth1 import OAuth1Auth
from worker.connectors.auth.signed import PARTS, SENT, SignedAuth
from worker.connectors.auth.texts import Names, Text
from worker.connectors.manifest.auth.texts import check_address, credential, optional_secrets, read_texts
from worker.connectors.manifest.checking import check_credential, check_secret
from worker.connectors.manifest.templates import fill, names_in
from worker.parsing.documents import Document, suggest

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignManifest:
    """An HMAC over what the manifest says."""

    found: Found
    headers: Mapping[str, Text]
    optional: frozenset[str]

    def bind(self, settings: Mapping[str, Any]) -> SignedAuth:
        """The auth of one connection."""
        return SignedAuth(
            secret=self.found["secret"],
            text=self.found["text"],
            headers=self.headers,
            names=Names.of(settings, self.optional),
            params=self.found.get("params", {}),
            algorithm=self.found.get("algorithm", "sha256"),
            encoding=self.found.get("encoding", "hex"),
            key=self.found.get("key", "text"),
            clock=self.found.get("timestamp", "epoch_ms"),
        )


@dataclass(frozen=True, slots=True)
class OAuth1Manifest:
    """OAuth 1.0a."""

    found: Found

    def bind(self, settings: Mapping[str, Any]) -> OAuth1Auth:
        """The auth of one connection."""
        found = self.found
        return OAuth1Auth(
            consumer_key=credential(found["consumer_key"], settings),
            consumer_secret=found["consumer_secret"],
            token=credential(found["token"], settings) if "token" in found else None,
            token_secret=found.get("token_secret"),
            realm=fill(found["realm"], settings) if "realm" in found else None,
            method=found.get("method", "HMAC-SHA256"),
        )


def read_sign(document: Document, found: Found) -> SignManifest:
    """The section, checked for what a schema can't see."""
    where = ("auth", "sign")
    check_secret(document, (*where, "secret"), found["secret"])
    _check_parts(document, (*where, "text"), found["text"], PARTS)
    for name, text in found.get("params", {}).items():
        _check_parts(document, (*where, "params", name), text, {"timestamp", "nonce", "body_hash"})
    headers = read_texts(document, (*where, "headers"), found["headers"], SENT)
    if not any("signature" in names_in(text.value) for text in headers.values()):
        message = "The signature goes nowhere: say {signature} in one of the headers."
        raise document.error((*where, "headers"), "bad_value", message)
    return SignManifest(found, headers, optional_secrets(document))


def read_oauth1(document: Document, found: Found) -> OAuth1Manifest:
    """The section, checked for what a schema can't see."""
    where = ("auth", "oauth1")
    for part in ("consumer_key", "token"):
        if part in found:
            check_credential(document, (*where, part), found[part])
    for part in ("consumer_secret", "token_secret"):
        if part in found:
            check_secret(document, (*where, part), found[part])
    if ("token" in found) != ("token_secret" in found):
        message = "A token has a secret: token and token_secret go together."
        raise document.error(where, "missing_key", message)
    check_address(document, (*where, "realm"), found.get("realm", ""))
    return OAuth1Manifest(found)


def _check_parts(
    document: Document, where: tuple[str, ...], text: str, own: frozenset[str] | set[str]
) -> None:
    """What is signed, or stands in the URL, is known to all: settings, and parts of the request."""
    settings = document.data.get("settings", {})
    for name in names_in(text):
        if name in own:
            continue
        if name not in settings and name not in document.data.get("secrets", {}):
            message = f"{{{name}}} is no setting, and no part of a request."
            hint = suggest(name, [*settings, *own]) or None
            raise document.error(where, "bad_value", message, hint=hint)
        check_address(document, where, f"{{{name}}}")
