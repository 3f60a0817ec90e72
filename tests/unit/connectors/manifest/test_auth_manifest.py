"""What a manifest may say of auth: each way as the systems have it, and complaints that lead to the line."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.connectors.auth.csrf import CsrfAuth
from worker.connectors.auth.headers import HeadersAuth
from worker.connectors.auth.login import LoginAuth
from worker.connectors.auth.oauth1 import OAuth1Auth
from worker.connectors.auth.signed import SignedAuth
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Auth, Moment, Request, Response, Signing
from worker.connectors.manifest.model import manifest_in
from worker.errors import InvalidInput, NeedsOperator
from worker.parsing.documents import read_document

FIRST = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://{site}.example.com/api"
settings:
  site: {required: true, description: The site.}
  company: {description: The company.}
  account: {default: "1234567_SB1", description: The account.}
  region: {default: eu, description: Where., values: {eu: "https://eu.example.com", us: "https://us.example.com"}}
secrets:
  user: {description: The user., required: false}
  password: {description: The password., lasts: 90d}
  key: {description: A key., required: false}
streams:
  parts: {path: /parts, records: data, key: id}
auth:
"""
SECRETS = {"user": "me", "password": "planted-password", "key": "planted-key"}


def loaded(auth: str) -> ManifestConnector:
    return ManifestConnector(manifest_in(read_document((FIRST + auth).encode(), "shop/manifest.yaml")))


def bound(auth: str, **settings: Any) -> Auth:
    return loaded(auth).bind({"site": "plant", **settings}).auth


def complaint(auth: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        loaded(auth)
    return caught.value


def first(auth: Auth, request: Request, **secrets: str) -> Request:
    step = next(auth.flow(request, {**SECRETS, **secrets}, {}))
    if isinstance(step, Signing):
        step = step.make(
            Moment(datetime(2026, 3, 1, tzinfo=UTC), "once", lambda each: f"https://plant{each.url}")
        )
    assert isinstance(step, Request)
    return step


def test_several_headers_are_filled_from_settings_and_secrets() -> None:
    auth = bound(
        """\
  headers:
    apikey: "{key}"
    maxauth: {value: "{user}:{password}", encode: base64}
    x-organization-id: "{company}"
"""
    )
    assert isinstance(auth, HeadersAuth)
    headers = first(auth, Request("GET", "/x")).headers
    assert headers == {"apikey": "planted-key", "maxauth": "bWU6cGxhbnRlZC1wYXNzd29yZA=="}


def test_headers_and_a_token_against_forgery_stand_on_top_of_basic() -> None:
    auth = bound(
        """\
  basic: {username: {secret: user}, password: {secret: password}}
  headers: {x-api-key: "{key}"}
  csrf: {path: "/service/{account}", header: X-CSRF-Token, cookies: [SAP_SESSIONID]}
"""
    )
    assert isinstance(auth, CsrfAuth)
    fetch = first(auth, Request("POST", "/orders"))
    assert (fetch.url, fetch.headers["X-CSRF-Token"]) == ("/service/1234567_SB1", "Fetch")
    assert fetch.headers["x-api-key"] == "planted-key"
    assert fetch.headers["Authorization"].startswith("Basic ")
    assert auth.cookies == {"SAP_SESSIONID"}


def test_what_proves_who_we_are_may_stand_in_the_body() -> None:
    auth = bound(
        """\
  login:
    request: {path: /jsonrpc, json: {params: {service: common, args: ["{account}", "{user}", "{password}"]}}}
    take: {uid: result}
    body:
      params.args.0: "{account}"
      params.args.1: {value: "{uid}", type: integer}
      params.args.2: "{password}"
"""
    )
    body = {"params": {"service": "object", "args": [None, None, None, "res.partner", "read"]}}
    flow = auth.flow(Request("POST", "/jsonrpc", body=json.dumps(body).encode()), SECRETS, {})
    next(flow)
    proven = flow.send(Response(200, {}, b'{"result": 7}', ""))
    assert isinstance(proven, Request)
    assert proven.asked
    assert json.loads(proven.body or b"")["params"] == {
        "service": "object",
        "args": ["1234567_SB1", 7, "planted-password", "res.partner", "read"],
    }


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"[1]", "string", "auth_unplaced"),
        (b"no json", "string", "auth_unplaced"),
        (b"{}", "integer", "bad_secret"),
    ],
)
def test_a_body_without_room_for_a_proof_is_told_of(body: bytes, kind: str, code: str) -> None:
    auth = bound(f"  body:\n    a.b: {{value: '{{password}}', type: {kind}}}\n")
    with pytest.raises(NeedsOperator) as caught:
        next(auth.flow(Request("POST", "/x", body=body), SECRETS, {}))
    assert caught.value.code == code
    assert "planted" not in str(caught.value)
    assert first(auth, Request("GET", "/x")) == Request("GET", "/x")


def test_a_log_in_is_described_whole() -> None:
    auth = bound(
        """\
  login:
    request:
      url: "https://{site}.example.com/entity/auth/login"
      json: {name: "{user}", password: "{password}", company: "{company}", tenant: "{account}"}
    take: {token: result.sessionToken, number: {header: X-Number}}
    cookies: all
    expires: {in: SessionTimeout, unit: m}
    lasts: 20m
    headers: {Session-Token: "{token}:{number}"}
    logout: {url: "https://{site}.example.com/entity/auth/logout"}
"""
    )
    assert isinstance(auth, LoginAuth)
    asked = Request("GET", "/x")
    held: dict[str, str] = {}
    flow = auth.flow(asked, SECRETS, held)
    asking = next(flow)
    assert isinstance(asking, Request)
    assert asking.url == auth.token_url == "https://plant.example.com/entity/auth/login"
    assert json.loads(asking.body or b"") == {
        "name": "me", "password": "planted-password", "tenant": "1234567_SB1",
    }  # fmt: skip
    body = {"result": {"sessionToken": "planted-t"}, "SessionTimeout": 30}
    proven = flow.send(Response(200, {"x-number": "7", "set-cookie": "a=1"}, json.dumps(body).encode(), ""))
    assert isinstance(proven, Request)
    assert proven.headers == {"Session-Token": "planted-t:7", "Cookie": "a=1"}
    assert held["expires_in"] == "1800"
    leaving = auth.log_out(SECRETS, held)
    assert leaving is not None
    assert leaving.url == "https://plant.example.com/entity/auth/logout"


def test_requests_are_signed_as_the_manifest_says() -> None:
    auth = bound(
        """\
  sign:
    secret: password
    params: {appKey: "{account}", timestamp: "{timestamp}", signatureMethod: HmacSHA256}
    text: "{url}"
    headers: {Authorization: "{signature}"}
"""
    )
    assert isinstance(auth, SignedAuth)
    request = first(auth, Request("POST", "/api/"))
    assert [name for name, _ in request.params] == ["appKey", "timestamp", "signatureMethod"]
    assert len(request.headers["Authorization"]) == 64


def test_oauth1_takes_its_realm_from_a_setting() -> None:
    auth = bound(
        """\
  oauth1:
    consumer_key: {secret: key}
    consumer_secret: password
    token: {secret: user}
    token_secret: password
    realm: "{account}"
"""
    )
    assert isinstance(auth, OAuth1Auth)
    header = first(auth, Request("GET", "/x")).headers["Authorization"]
    assert header.startswith('OAuth realm="1234567_SB1", oauth_consumer_key="planted-key", ')


def test_a_setting_with_values_stands_for_what_its_value_means() -> None:
    text = FIRST.replace("https://{site}.example.com/api", "{region}/api").encode() + b"  none: {}\n"
    connector = ManifestConnector(manifest_in(read_document(text, "m.yaml")))
    assert connector.bind({"site": "x"}).base_url == "https://eu.example.com/api"
    assert connector.bind({"site": "x", "region": "us"}).base_url == "https://us.example.com/api"
    with pytest.raises(InvalidInput, match="region must be one of eu, us"):
        connector.bind({"site": "x", "region": "https://us.example.com"})


def test_who_is_asked_for_a_setting_is_told_its_values() -> None:
    settings = loaded("  none: {}\n").manifest.settings
    assert settings["region"].told == "Where. One of: eu, us."
    assert settings["site"].told == "The site."


@pytest.mark.parametrize(
    ("auth", "addresses"),
    [
        ("  none: {}\n", ()),
        ("  login: {cookies: all, request: {path: /x}}\n", ()),
        (
            "  login: {cookies: all, request: {url: 'https://{site}.login.example'}}\n",
            ("https://{site}.login.example",),
        ),
        (
            "  oauth2: {grant: password, username: {secret: user}, password: password, token_url: 'https://{site}.t'}\n",
            ("https://{site}.t",),
        ),
    ],
)
def test_where_else_secrets_go_is_known_before_settings_are(auth: str, addresses: tuple[str, ...]) -> None:
    assert loaded(auth).manifest.auth.addresses == addresses


def test_a_secret_tells_how_long_it_lasts() -> None:
    secrets = loaded("  none: {}\n").manifest.secrets
    assert secrets["password"].told == "The password. The system takes it for 90d."
    assert (secrets["password"].lasts, secrets["key"].lasts) == (90 * 86400, None)


LOGIN = "  login: {request: {path: /login, json: {p: '{password}'}}"


@pytest.mark.parametrize(
    ("auth", "line", "words", "hint"),
    [
        ("  bearer: {secret: key}\n  none: {}\n", 19, "one way to prove who we are; here are bearer and none", "headers, body, csrf"),
        ("  headers:\n    apikey: '{kay}'\n", 19, "no setting and no secret 'kay'", "'key'"),
        ("  headers:\n    a: {value: '{usr}', encode: base64}\n", 19, "no setting and no secret 'usr'", "'user'"),
        ("  headers:\n    a: {value: '{user}', encode: base46}\n", 19, "must be one of base64", "base64"),
        ("  headers:\n    'a b': x\n", 19, "can't be a name", None),
        ("  csrf: {path: '/{company}'}\n", 18, "must be required or have a default", None),
        (LOGIN + ", take: {token: t}}\n", 18, "goes nowhere", None),
        (LOGIN + "}\n", 18, "something must be kept", None),
        (LOGIN + ", take: {key: t}, headers: {a: '{key}'}}\n", 18, "key is among the secrets already", None),
        (LOGIN + ", take: {token: t}, headers: {a: '{tokn}'}}\n", 18, "no secret 'tokn'", "'token'"),
        (LOGIN + ", cookies: some}\n", 18, "cookies can't be 'some'", None),
        ("  login: {request: {json: {}}, cookies: all}\n", 18, "a path (behind the base URL) or a url", None),
        ("  login:\n    cookies: all\n    request:\n      path: /{key}\n", 21, "key can't be part of an address", "a setting"),
        ("  login: {cookies: all, request: {path: /x, json: {}, form: {a: b}}}\n", 18, "one body", None),
        ("  sign: {secret: key, text: '{url}', headers: {A: x}}\n", 18, "The signature goes nowhere", None),
        ("  sign: {secret: key, text: '{ulr}', headers: {A: '{signature}'}}\n", 18, "no part of a request", "'url'"),
        ("  sign: {secret: key, text: '{password}', headers: {A: '{signature}'}}\n", 18, "can't be part of an address", None),
        ("  sign: {secret: key, text: x, params: {a: '{key}'}, headers: {A: '{signature}'}}\n", 18, "key can't be part", None),
        ("  oauth1: {consumer_key: {secret: key}, consumer_secret: key, token: {secret: key}}\n", 18, "go together", None),
        ("  oauth1: {consumer_key: {secret: key}, consumer_secret: kay}\n", 18, "no secret 'kay'", "'key'"),
        ("  basic: {username: {secret: user}, password: {setting: site}}\n", 18, "A password is a secret", None),
        ("  hedder: {}\n", 18, "Unknown key 'hedder'", "'header'"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_told_with_its_line_and_the_nearest_name(
    auth: str, line: int, words: str, hint: str | None
) -> None:
    caught = complaint(auth)
    assert words in caught.message
    assert caught.place == f"shop/manifest.yaml:{line}"
    if hint is not None:
        assert hint in f"{caught.hint}{caught.message}"


def test_a_name_that_is_a_setting_and_a_secret_is_nobodys() -> None:
    text = FIRST.replace("  key: {", "  site: {") + "  headers: {a: '{site}'}\n"
    with pytest.raises(InvalidInput, match="both a setting and a secret"):
        manifest_in(read_document(text.encode(), "m.yaml"))
