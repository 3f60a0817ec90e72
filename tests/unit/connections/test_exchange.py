"""A code that somebody got by consent is exchanged by a client that proves itself by a key."""

from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from servers.systems.sending import NOW, Budget

from scheduler.connections.consent.oauth import exchange
from scheduler.connections.trial.trial import Candidate
from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import manifest_in
from worker.errors import NeedsOperator
from worker.http import Sender
from worker.parsing.documents import read_document

MANIFEST = """\
manifest: 1
system: plant
title: Plant
protocol: rest
base_url: https://plant.example.com
secrets: {key: {description: The private key.}, refresh: {description: What lasts.}}
settings: {client: {default: app, description: The client.}}
auth:
  oauth2:
    grant: refresh_token
    token_url: https://login.example.com/token
    client_id: {setting: client}
    client_auth: private_key_jwt
    assertion: {key: key, algorithm: ES256}
    refresh_token: refresh
    authorize: {url: "https://login.example.com/authorize"}
streams: {parts: {path: /parts, records: data, key: id}}
"""
KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


def exchanged(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """The refresh token, and the form that was sent."""
    sent: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer

    manifest = manifest_in(read_document(MANIFEST.encode(), "plant/manifest.yaml"))
    consent = manifest.auth.oauth2
    assert consent is not None
    token = exchange(
        Sender(
            Budget(), timeout=5, max_bytes=10_000, transport=httpx.MockTransport(answered), clock=lambda: NOW
        ),
        ManifestConnector(manifest).bind({}),
        Candidate("plant", "live", {}, {"key": "env://HEADRACE_LIVE_KEY"}, {}),
        consent,
        {"code": "planted-code", "redirect_uri": "https://here/connect/callback", "code_verifier": "v"},
        request_id="r",
    )
    (request,) = sent
    assert str(request.url) == "https://login.example.com/token"
    return token, {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


def test_the_assertion_goes_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LIVE_KEY", KEY)
    token, form = exchanged(
        httpx.Response(200, json={"access_token": "planted-access", "refresh_token": "planted-refresh"})
    )
    assert token == "planted-refresh"
    assert (form["grant_type"], form["code"]) == ("authorization_code", "planted-code")
    assert form["client_assertion"].count(".") == 2
    assert not {"client_id", "client_secret"} & form.keys()


def test_one_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LIVE_KEY", KEY)
    with pytest.raises(NeedsOperator, match="invalid_client"):
        exchanged(httpx.Response(401, json={"error": "invalid_client"}))
