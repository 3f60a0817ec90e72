"""Requests that are signed as they are sent: by an HMAC of the manifest's making, and by OAuth 1.0a. Published vectors."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

import pytest

from worker.connectors.auth import Credential
from worker.connectors.auth.oauth1 import OAuth1Auth, base_string, signature_of
from worker.connectors.auth.signed import SignedAuth
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Auth, Moment, Request, Signing
from worker.errors import NeedsOperator

NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, UTC)
SECRETS = {"secret": "planted-secret", "token_secret": "planted-token-secret"}


def url_of(request: Request) -> str:
    query = urlencode(list(request.params))
    return request.url + ("?" + query if query else "")


def sent(
    auth: Auth, request: Request, moment: Moment | None = None, secrets: dict[str, str] = SECRETS
) -> Request:
    step = next(auth.flow(request, secrets, {}))
    assert isinstance(step, Signing)
    return step.make(moment or Moment(NOW, "0123456789abcdef", url_of))


def signing(**given: Any) -> SignedAuth:
    settings: dict[str, Any] = {
        "secret": "secret",
        "text": "{url}",
        "headers": {"Authorization": Text("{signature}")},
        "names": Names({"access_key": "AK", "app_key": "PK"}),
        "params": {},
    }
    return SignedAuth(**{**settings, **given})


def test_the_url_is_signed_as_it_is_sent_without_its_scheme_and_with_what_the_manifest_adds() -> None:
    params = {
        "accessKey": "{access_key}",
        "appKey": "{app_key}",
        "timestamp": "{timestamp}",
        "signatureVersion": "1",
    }
    asked = Request("POST", "https://plant.example.com/api/", [("service", "cmms")], body=b"{}")
    request = sent(signing(params=params), asked)
    query = "service=cmms&accessKey=AK&appKey=PK&timestamp=1772366400123&signatureVersion=1"
    assert url_of(request) == f"https://plant.example.com/api/?{query}"
    expected = hmac.new(b"planted-secret", f"plant.example.com/api/?{query}".encode(), hashlib.sha256)
    assert request.headers["Authorization"] == expected.hexdigest()
    assert request.body == b"{}"


def test_all_parts_of_a_request_can_be_signed() -> None:
    text = "{method}\n{host}\n{path}\n{query}\n{timestamp}\n{nonce}\n{app_key}\n{body_hash}\n{body}"
    body = b"\xff\x00{url}"
    auth = signing(
        text=text, clock="iso8601", encoding="base64", algorithm="sha512",
        headers={"Authorization": Text("SIG {app_key}:{signature}"), "X-Time": Text("{timestamp}"), "X-Nonce": Text("{nonce}")},
    )  # fmt: skip
    request = sent(auth, Request("put", "https://h:8443/a%20b", [("q", "1")], body=body))
    signed = (
        b"PUT\nh:8443\n/a%20b\nq=1\n2026-03-01T12:00:00Z\n0123456789abcdef\nPK\n"
        + hashlib.sha512(body).hexdigest().encode() + b"\n" + body
    )  # fmt: skip
    signature = base64.b64encode(hmac.new(b"planted-secret", signed, "sha512").digest()).decode()
    assert request.headers == {
        "Authorization": f"SIG PK:{signature}",
        "X-Time": "2026-03-01T12:00:00Z",
        "X-Nonce": "0123456789abcdef",
    }


@pytest.mark.parametrize(("form", "secret"), [("hex", "6b6579"), ("base64", "a2V5"), ("text", "key")])
def test_a_key_is_read_as_the_system_gives_it_out(form: Any, secret: str) -> None:
    request = sent(signing(key=form), Request("GET", "https://h/x"), secrets={"secret": secret})
    assert request.headers["Authorization"] == hmac.new(b"key", b"h/x", "sha256").hexdigest()


@pytest.mark.parametrize("form", ["hex", "base64"])
def test_a_key_that_can_not_be_read_is_named_and_not_shown(form: Any) -> None:
    with pytest.raises(NeedsOperator, match="'secret'") as caught:
        sent(signing(key=form), Request("GET", "https://h/x"), secrets={"secret": "planted!"})
    assert caught.value.code == "bad_secret"
    assert "planted" not in str(caught.value)


def test_the_base_string_of_oauth1_is_that_of_its_specification() -> None:
    """RFC 5849, 3.4.1.1."""
    params = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
        ("c2", ""),
        ("a3", "2 q"),
    ]
    url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
    assert base_string("post", url, params) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2"
        "%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth"
        "_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )
    assert base_string("GET", "https://[::1]:8443", []) == "GET&https%3A%2F%2F%5B%3A%3A1%5D%3A8443%2F&"


def test_the_signature_of_oauth1_is_that_of_its_specification() -> None:
    """RFC 5849, 1.2."""
    params = [
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
        ("oauth_token", "nnch734d00sl2jdk"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131202"),
        ("oauth_nonce", "chapoH"),
    ]
    text = base_string("GET", "http://photos.example.net/photos?file=vacation.jpg&size=original", params)
    assert (
        signature_of("HMAC-SHA1", text, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
        == "MdpQcU8iPSUjWoN/UDMsK2sui9I="
    )


def test_the_longer_hash_signs_as_elsewhere() -> None:
    """The vector of google-oauth-java-client."""
    signature = signature_of("HMAC-SHA256", "baseString", "apiSecret", "tokenSecret")
    assert signature == "xDJIQbKJTwGumZFvSG1V3ctym2tz6kD8fKGWPr5ImPU="


def test_a_request_with_a_form_is_signed_as_it_is_documented_elsewhere() -> None:
    """The worked example of Twitter's documentation: a form and a query, both signed."""
    auth = OAuth1Auth(
        consumer_key=Credential(value="xvz1evFS4wEEPTGEFPHBog"),
        consumer_secret="secret",
        token=Credential(value="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
        token_secret="token_secret",
        method="HMAC-SHA1",
    )
    secrets = {
        "secret": "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        "token_secret": "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    }
    asked = Request(
        "POST",
        "https://api.twitter.com/1.1/statuses/update.json",
        [("include_entities", "true")],
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        b"status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21",
    )
    moment = Moment(
        datetime.fromtimestamp(1318622958, UTC), "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", url_of
    )
    header = sent(auth, asked, moment, secrets).headers["Authorization"]
    assert 'oauth_signature="hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D"' in header


def test_a_realm_stands_first_and_is_not_signed() -> None:
    auth = OAuth1Auth(
        Credential(secret="key"), "secret", Credential(secret="token"), "token_secret", "1234567_SB1"
    )
    secrets = {**SECRETS, "key": "ck", "token": "tk"}
    request = sent(auth, Request("GET", "https://h/x", [("q", "a b")]), secrets=secrets)
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    assert scheme == "OAuth"
    assert next(iter(parts)) == "realm"
    assert parts["realm"] == '"1234567_SB1"'
    values = {name: unquote(value.strip('"')) for name, value in parts.items()}
    signature = values.pop("oauth_signature")
    values.pop("realm")
    assert values["oauth_timestamp"] == "1772366400"
    text = base_string("GET", "https://h/x?q=a%20b", values.items())
    assert signature == signature_of("HMAC-SHA256", text, "planted-secret", "planted-token-secret")
    without = sent(OAuth1Auth(Credential(value="ck"), "secret"), Request("GET", "https://h/x"))
    assert "oauth_token" not in without.headers["Authorization"]
    assert "realm" not in without.headers["Authorization"]
