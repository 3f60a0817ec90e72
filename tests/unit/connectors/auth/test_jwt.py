"""Tokens that a private key signs: what they say, that others can check them, and what a wrong key is told."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwk, jwt

from worker.connectors.auth import jwt as ours
from worker.connectors.auth.jwt import Algorithm, Assertion
from worker.connectors.auth.texts import Names
from worker.connectors.contract import Moment
from worker.errors import NeedsOperator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENT = Moment(NOW, "0123456789abcdef", lambda request: request.url)


@lru_cache
def key_of(kind: str) -> str:
    """Made for the test; 2,048 bits take a moment, so once."""
    makes: dict[str, Callable[[], Any]] = {
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    pem: bytes = makes[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def made(algorithm: Algorithm, key: str, **given: Any) -> str:
    names = Names({"certificate": "cert-1", "user": "me@plant.example"})
    assertion = Assertion("key", names, "https://h/token", algorithm, "{certificate}", **given)
    return assertion.made({"key": key}, MOMENT, "the-client")


@pytest.mark.parametrize(
    ("algorithm", "kind", "jose"),
    [("RS256", "RSA", "RSA"), ("PS256", "RSA", "RSA"), ("ES256", "P-256", "EC")],
)
def test_a_token_can_be_checked_by_others(algorithm: Algorithm, kind: str, jose: Any) -> None:
    token = made(algorithm, key_of(kind), claims={"scope": ["rest_webservices"], "for": "{user}"})
    read = jwt.decode(token, jwk.import_key(key_of(kind), jose), algorithms=[algorithm])
    assert read.header == {"alg": algorithm, "typ": "JWT", "kid": "cert-1"}
    assert read.claims == {
        "iss": "the-client",
        "sub": "the-client",
        "aud": "https://h/token",
        "iat": 1772366400,
        "exp": 1772366700,
        "jti": "0123456789abcdef",
        "scope": ["rest_webservices"],
        "for": "me@plant.example",
    }


def test_a_key_from_an_environment_variable_may_have_its_line_ends_escaped() -> None:
    key = key_of("P-256")
    token = made("ES256", key.replace("\n", "\\n"), issuer="svc", subject="{user}", lasts=60.0)
    claims = jwt.decode(token, jwk.import_key(key, "EC"), algorithms=["ES256"]).claims
    assert (claims["iss"], claims["sub"], claims["exp"]) == ("svc", "me@plant.example", 1772366460)


@pytest.mark.parametrize(
    ("algorithm", "key", "words"),
    [
        ("RS256", "planted", "is no private key in PEM"),
        ("RS256", "P-256", "is no RSA key"),
        ("ES256", "RSA", "is no key on the curve P-256"),
        ("ES256", "P-384", "is no key on the curve P-256"),
        ("PS256", "Ed25519", "is no RSA key"),
    ],
)
def test_a_key_that_can_not_sign_is_named_and_not_shown(algorithm: Any, key: str, words: str) -> None:
    pem = key if key == "planted" else key_of(key)
    with pytest.raises(NeedsOperator, match=f"'key' {words}") as caught:
        made(algorithm, pem)
    assert caught.value.code == "bad_secret"
    assert not any(len(line) > 20 and line in str(caught.value) for line in pem.splitlines())
    assert "planted" not in str(caught.value)


def test_who_lacks_the_library_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(ours, "import_module", missing)
    with pytest.raises(NeedsOperator, match="isn't installed") as caught:
        made("RS256", key_of("P-256"))
    assert "headrace[jwt]" in str(caught.value.hint)
