"""What is sent to a token endpoint, what its answers mean, and when a token is fetched anew. No socket."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from worker.connectors.auth import Credential
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Renewal, Request, Response, TokenAuth
from worker.connectors.manifest.model import load_manifest
from worker.connectors.auth.oauth2 import Client, OAuth2, token_request, tokens_in
from worker.errors import InvalidInput, NeedsOperator, Transient

TOKEN_URL = "https://login.example.com/token"
ASKED = Request("GET", "assets")
SECRETS = {"id": "the client", "secret": "p:l/anted", "refresh": "planted-refresh"}


def auth(**given: Any) -> OAuth2:
    settings: dict[str, Any] = {
        "grant": "client_credentials",
        "client_id": Credential(secret="id"),
        "client_secret": "secret",
    }
    return OAuth2(token_url=TOKEN_URL, **{**settings, **given})


def answer(status: int, body: Any = None) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json"}, content, TOKEN_URL)


def form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}


def test_a_token_is_fetched_and_sent_as_bearer_and_kept_for_as_long_as_it_is_good() -> None:
    held: dict[str, str] = {}
    flow = auth(scopes=("read:all", "offline"), params={"audience": "api"}).flow(ASKED, SECRETS, held)
    asking = next(flow)
    assert isinstance(asking, Request)
    assert (asking.method, asking.url) == ("POST", TOKEN_URL)
    assert form(asking) == {
        "grant_type": "client_credentials",
        "audience": "api",
        "scope": "read:all offline",
    }
    proof = base64.b64decode(asking.headers["Authorization"].removeprefix("Basic ")).decode()
    assert proof == "the%20client:p%3Al%2Fanted"
    proven = flow.send(answer(200, {"access_token": "planted-access", "expires_in": 3600}))
    assert isinstance(proven, Request)
    assert proven.headers["Authorization"] == "Bearer planted-access"
    assert held == {"access_token": "planted-access", "expires_in": "3600"}
    with pytest.raises(StopIteration):
        flow.send(answer(200))


def test_a_client_may_prove_itself_in_the_form_and_one_without_a_secret_names_itself_there() -> None:
    in_form = token_request(TOKEN_URL, Client("me", "planted", "body"), {"grant_type": "x"})
    assert form(in_form) == {"grant_type": "x", "client_id": "me", "client_secret": "planted"}
    assert "Authorization" not in in_form.headers
    assert form(token_request(TOKEN_URL, Client("me"), {})) == {"client_id": "me"}


def test_a_token_that_is_refused_is_fetched_anew_once() -> None:
    held = {"access_token": "planted-old"}
    flow = auth().flow(ASKED, SECRETS, held)
    next(flow)
    asking = flow.send(answer(401))
    assert isinstance(asking, Request)
    assert asking.url == TOKEN_URL
    flow.send(answer(200, {"access_token": "planted-new"}))
    with pytest.raises(StopIteration):
        flow.send(answer(401))


def test_a_refresh_token_is_spent_by_whoever_sends() -> None:
    refreshing = auth(grant="refresh_token", refresh_token="refresh")
    assert isinstance(refreshing, TokenAuth)
    assert refreshing.replaced == {"refresh"}
    flow = refreshing.flow(ASKED, SECRETS, {})
    renewal = next(flow)
    assert isinstance(renewal, Renewal)
    assert (renewal.secret, renewal.replaces) == ("refresh", True)
    assert form(renewal.request("planted-as-it-is-now"))["refresh_token"] == "planted-as-it-is-now"
    given = answer(200, {"access_token": "planted-access", "refresh_token": "planted-next"})
    assert renewal.renewed(given) == "planted-next"
    assert renewal.renewed(answer(400, {"refresh_token": "planted-next"})) is None
    proven = flow.send(given)
    assert isinstance(proven, Request)
    assert proven.headers["Authorization"] == "Bearer planted-access"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": "invalid_grant", "error_description": "Token was revoked."}, "needs_authorisation"),
        (200, {"error": "invalid_grant"}, "needs_authorisation"),
        (401, {"error": "invalid_client"}, "auth_refused"),
        (400, {"error": "invalid_scope"}, "auth_refused"),
        (403, b"<html>no</html>", "auth_refused"),
        (404, None, "request_refused"),
    ],
)
def test_what_a_token_endpoint_refuses_needs_a_person(status: int, body: Any, code: str) -> None:
    with pytest.raises(NeedsOperator) as caught:
        tokens_in(answer(status, body))
    assert caught.value.code == code
    if code == "needs_authorisation":
        assert "headrace connect" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"error": "server_error"}),
        (400, {"error": "temporarily_unavailable"}),
        (200, {}),
        (200, {"access_token": 7}),
        (200, b"\xff not json"),
        (200, [1]),
    ],
)
def test_an_answer_without_a_token_is_tried_again(status: int, body: Any) -> None:
    with pytest.raises(Transient):
        tokens_in(answer(status, body))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(3600, 3600), ("3600", 3600), (0, None), (-1, None), ("soon", None), (None, None), (1e30, None)],
)
def test_how_long_a_token_is_good_is_read_as_systems_say_it(said: Any, seconds: float | None) -> None:
    assert tokens_in(answer(200, {"access_token": "a", "expires_in": said})).expires_in == seconds


def test_tokens_and_clients_do_not_print() -> None:
    tokens = tokens_in(answer(200, {"access_token": "planted-a", "refresh_token": "planted-r"}))
    assert "planted" not in repr(tokens) + repr(Client("me", "planted-s"))


MANIFEST: Mapping[str, Any] = {
    "manifest": 1,
    "system": "consented",
    "title": "A system with consent",
    "protocol": "rest",
    "base_url": "https://{host}.example.com/api",
    "settings": {
        "host": {"required": True, "description": "Which."},
        "client": {"required": True, "description": "The client's id."},
    },
    "secrets": {"secret": {"description": "Of the client."}, "refresh": {"description": "Came by consent."}},
    "auth": {
        "oauth2": {
            "grant": "refresh_token",
            "token_url": "https://{host}.login.example.com/token",
            "client_id": {"setting": "client"},
            "client_secret": "secret",
            "refresh_token": "refresh",
            "scopes": ["read", "{host}:all"],
            "authorize": {
                "url": "https://{host}.login.example.com/authorize",
                "params": {"access_type": "offline"},
            },
        }
    },
    "streams": {"assets": {"path": "/assets", "records": "data", "key": "id"}},
}


def written(folder: Path, **oauth2: Any) -> Path:
    changed = {
        name: value for name, value in {**MANIFEST["auth"]["oauth2"], **oauth2}.items() if value is not None
    }
    (folder / "consented").mkdir()
    path = folder / "consented" / "manifest.yaml"
    path.write_text(json.dumps({**MANIFEST, "auth": {"oauth2": changed}}))
    return path


def test_a_manifest_says_it_all_and_settings_fill_it(tmp_path: Path) -> None:
    manifest = load_manifest(written(tmp_path))
    source = ManifestConnector(manifest).bind({"host": "plant", "client": "me"})
    bound = source.auth
    assert isinstance(bound, OAuth2)
    assert bound.token_url == "https://plant.login.example.com/token"
    assert bound.scopes == ["read", "plant:all"]
    assert bound.client(SECRETS).id == "me"
    found = manifest.auth.oauth2
    assert found is not None
    assert found.authorise is not None
    assert found.authorise.pkce
    assert found.authorise_url({"host": "plant"}) == "https://plant.login.example.com/authorize"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"refresh_token": None}, "needs refresh_token"),
        ({"refresh_token": "nowhere"}, "no secret 'nowhere'"),
        ({"client_id": {"setting": "nowhere"}}, "no setting 'nowhere'"),
        ({"token_url": "https://{nowhere}/token"}, "no setting 'nowhere'"),
        ({"authorize": {"url": "https://{nowhere}/"}}, "no setting 'nowhere'"),
        ({"grant": "client_credentials", "client_secret": None}, "needs client_secret"),
        ({"grant": "password"}, "grant"),
    ],
)
def test_a_manifest_that_can_not_work_is_refused_with_its_line(
    tmp_path: Path, changed: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        load_manifest(written(tmp_path, **changed))
