"""How does a client prove itself with a key that it alone holds? A JSON Web Token, signed (RFC 7515, 7518, 7523)."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

import msgspec

from worker.connectors.auth.texts import Names
from worker.connectors.auth.values import open_named
from worker.connectors.contract import Moment
from worker.errors import NeedsOperator

Algorithm = Literal["RS256", "PS256", "ES256"]
_BYTES_OF_P256 = 32


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a token says, and who signs it."""

    key: str
    """The secret that holds the private key, as PEM."""
    names: Names
    audience: str
    algorithm: Algorithm = "RS256"
    kid: str | None = None
    """Which of the client's certificates: a text with names."""
    issuer: str | None = None
    subject: str | None = None
    lasts: float = 300.0
    claims: Mapping[str, Any] = field(default_factory=dict)
    """More of them, as JSON with names in its texts."""

    def made(self, secrets: Mapping[str, str], moment: Moment, client_id: str | None) -> str:
        """The token as of that moment. Of a client it is issued by, and about, that client."""
        issuer = self._filled(self.issuer, secrets) or client_id
        now = int(moment.now.timestamp())
        claims = {
            "iss": issuer,
            "sub": self._filled(self.subject, secrets) or issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + int(self.lasts),
            "jti": moment.nonce,
            **self.names.json(self.claims, secrets),
        }
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self._filled(self.kid, secrets)}
        return signed(self.algorithm, open_named(secrets, self.key), self.key, _given(header), _given(claims))

    def _filled(self, text: str | None, secrets: Mapping[str, str]) -> str | None:
        return None if text is None else self.names.fill(text, secrets)


def signed(
    algorithm: Algorithm, key: str, key_name: str, header: Mapping[str, Any], claims: Mapping[str, Any]
) -> str:
    """The token in its compact form."""
    text = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, claims))
    return (text + b"." + _base64url(_signer(algorithm, key, key_name)(text))).decode()


def _signer(algorithm: Algorithm, key: str, key_name: str) -> Callable[[bytes], bytes]:
    """What signs with that key. `NeedsOperator` names the secret and says nothing of it."""
    exceptions, hashes, serialization, ec, padding, rsa, utils = _library()
    text = key.replace("\\n", "\n") if "\n" not in key.strip() else key  # as environment variables hold it
    try:
        private = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, AttributeError):
        raise _unfit(key_name, "is no private key in PEM without a password") from None
    except exceptions.UnsupportedAlgorithm:
        raise _unfit(key_name, "is a private key of a kind that isn't known") from None
    if algorithm == "ES256":
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise _unfit(key_name, "is no key on the curve P-256, which ES256 needs")

        def sign(data: bytes) -> bytes:
            r, s = utils.decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
            return bytes(r.to_bytes(_BYTES_OF_P256, "big") + s.to_bytes(_BYTES_OF_P256, "big"))

        return sign
    if not isinstance(private, rsa.RSAPrivateKey):
        raise _unfit(key_name, f"is no RSA key, which {algorithm} needs")
    pad = padding.PKCS1v15()
    if algorithm == "PS256":
        pad = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
    return lambda data: bytes(private.sign(data, pad, hashes.SHA256()))


def _library() -> list[Any]:
    """Not everybody needs it."""
    asymmetric = "cryptography.hazmat.primitives.asymmetric"
    names = ("ec", "padding", "rsa", "utils")
    try:
        return [
            import_module("cryptography.exceptions"),
            import_module("cryptography.hazmat.primitives.hashes"),
            import_module("cryptography.hazmat.primitives.serialization"),
            *(import_module(f"{asymmetric}.{name}") for name in names),
        ]
    except ModuleNotFoundError:
        raise NeedsOperator(
            "client_missing",
            "The library that signs tokens with private keys isn't installed.",
            hint="Install it with the extra: pip install 'headrace[jwt]'",
        ) from None


def _unfit(key_name: str, why: str) -> NeedsOperator:
    return NeedsOperator(
        "bad_secret", f"The secret {key_name!r} {why}.", hint="Check what its reference leads to."
    )


def _given(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
