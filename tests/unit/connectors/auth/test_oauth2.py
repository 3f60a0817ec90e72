"""What is sent to a token endpoint, what its answers mean, and when a token is fetched anew. No socket."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from worker.connectors.auth import Credential
from worker.connectors.auth.jwt import Assertion
from worker.connectors.auth.oauth2 import Client, OAuth2, token_request, tokens_in
from worker.connectors.auth.texts import Names
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Moment, Renewal, Request, Response, Signing, TokenAuth
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput, NeedsOperator, Transient

TOKEN_URL = "https://login.example.com/token"
ASKED = Request("GET", "assets")
KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
ASSERTION = Assertion("key", Names({}), TOKEN_URL, "ES256")
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
    asking = renewal.request("planted-as-it-is-now")
    assert isinstance(asking, Request)
    assert form(asking)["refresh_token"] == "planted-as-it-is-now"
    given = answer(200, {"access_token": "planted-access", "refresh_token": "planted-next"})
    assert renewal.renewed(given) == "planted-next"
    assert renewal.renewed(answer(400, {"refresh_token": "planted-next"})) is None
    proven = flow.send(given)
    assert isinstance(proven, Request)
    assert proven.headers["Authorization"] == "Bearer planted-access"


def test_a_user_s_password_is_a_grant_with_or_without_a_client() -> None:
    user = {"grant": "password", "username": Credential(value="me"), "password": "pw"}
    secrets = {**SECRETS, "pw": "planted-password"}
    asking = next(auth(**user).flow(ASKED, secrets, {}))
    assert isinstance(asking, Request)
    assert form(asking) == {"grant_type": "password", "username": "me", "password": "planted-password"}
    assert asking.headers["Authorization"].startswith("Basic ")
    alone = next(auth(**user, client_id=None, client_secret=None).flow(ASKED, secrets, {}))
    assert isinstance(alone, Request)
    assert form(alone) == form(asking)
    assert "Authorization" not in alone.headers


def test_a_password_that_is_refused_is_no_consent_that_was_lost() -> None:
    flow = auth(grant="password", username=Credential(value="me"), password="pw").flow(
        ASKED, {**SECRETS, "pw": "planted-password"}, {}
    )
    next(flow)
    with pytest.raises(NeedsOperator, match="invalid_grant") as caught:
        flow.send(answer(400, {"error": "invalid_grant"}))
    assert caught.value.code == "auth_refused"
    assert "password" in str(caught.value.hint)


MOMENT = Moment(datetime(2026, 3, 1, tzinfo=UTC), "once", lambda request: request.url)


def asked_at(flow: Any) -> Request:
    step = next(flow)
    assert isinstance(step, Signing)
    return step.make(MOMENT)


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_client_may_prove_itself_by_an_assertion_in_place_of_a_secret() -> None:
    asserting = auth(client_secret=None, client_auth="private_key_jwt", assertion=ASSERTION)
    held: dict[str, str] = {}
    flow = asserting.flow(ASKED, {**SECRETS, "key": KEY}, held)
    sent = form(asked_at(flow))
    assert claims(sent.pop("client_assertion")) == {
        "iss": "the client", "sub": "the client", "aud": TOKEN_URL, "iat": 1772323200, "exp": 1772323500, "jti": "once",
    }  # fmt: skip
    assert sent == {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    proven = flow.send(answer(200, {"access_token": "planted-access"}))
    assert isinstance(proven, Request)
    assert proven.headers["Authorization"] == "Bearer planted-access"


def test_an_assertion_may_prove_the_client_that_spends_a_refresh_token() -> None:
    proving = {"client_secret": None, "client_auth": "private_key_jwt", "assertion": ASSERTION}
    refreshing = auth(grant="refresh_token", refresh_token="refresh", **proving)
    renewal = next(refreshing.flow(ASKED, {**SECRETS, "key": KEY}, {}))
    assert isinstance(renewal, Renewal)
    asking = renewal.request("planted-as-it-is-now")
    assert isinstance(asking, Signing)
    sent = form(asking.make(MOMENT))
    assert (sent["grant_type"], sent["refresh_token"]) == ("refresh_token", "planted-as-it-is-now")
    assert claims(sent["client_assertion"])["iss"] == "the client"
    assert "client_id" not in sent


def test_an_assertion_may_be_the_grant_itself() -> None:
    asserting = auth(
        grant="jwt_bearer", client_id=None, client_secret=None, assertion=replace(ASSERTION, issuer="svc")
    )
    sent = form(asked_at(asserting.flow(ASKED, {"key": KEY}, {})))
    assert claims(sent.pop("assertion"))["iss"] == "svc"
    assert sent == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}


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
        ({"grant": "password"}, "needs username"),
        (
            {"grant": "password", "username": {"setting": "client"}, "password": "nowhere"},
            "no secret 'nowhere'",
        ),
        ({"grant": "jwt_bearer"}, "needs assertion"),
        ({"grant": "implicit"}, "grant"),
        ({"client_id": None}, "needs client_id"),
        ({"client_auth": "private_key_jwt"}, "has an assertion"),
        ({"assertion": {"key": "secret"}}, "goes with the grant jwt_bearer"),
        ({"grant": "jwt_bearer", "assertion": {"key": "nowhere"}}, "no secret 'nowhere'"),
        (
            {"grant": "jwt_bearer", "assertion": {"key": "secret", "kid": "{cliant}"}},
            "no setting and no secret 'cliant'",
        ),
        ({"grant": "jwt_bearer", "assertion": {"key": "secret", "claims": {"a": ["{x}"]}}}, "no secret 'x'"),
    ],
)
def test_a_manifest_that_can_not_work_is_refused_with_its_line(
    tmp_path: Path, changed: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        load_manifest(written(tmp_path, **changed))
