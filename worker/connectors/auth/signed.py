"""How is a request signed with a secret that never leaves? An HMAC over what the manifest says, made as it is sent.

sign:
secret: api_secret
params: {accessKey: "{access_key}", timestamp: "{timestamp}"}      # they are signed with the rest of the URL
text: "{url}"
headers: {Authorization: "{signature}"}
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from worker.connectors.auth.texts import Names, Text
from worker.connectors.auth.values import open_named
from worker.connectors.contract import Moment, Request, Response, Signing, Step
from worker.errors import NeedsOperator

Clock = Literal["epoch_s", "epoch_ms", "iso8601"]
KeyForm = Literal["text", "hex", "base64"]

PARTS = frozenset(
    {"method", "full_url", "url", "host", "path", "query", "body", "body_hash", "timestamp", "nonce"}
)
"""What can be signed besides settings: `url` is without its scheme, `body_hash` is hexadecimal."""
SENT = frozenset({"signature", "timestamp", "nonce", "body_hash"})
"""What the headers can hold besides settings and secrets."""

ENCODINGS: Mapping[str, Callable[[bytes], str]] = {
    "hex": lambda digest: digest.hex(),
    "hex_upper": lambda digest: digest.hex().upper(),
    "base64": lambda digest: base64.b64encode(digest).decode(),
    "base64url": lambda digest: base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
}


@dataclass(frozen=True, slots=True)
class SignedAuth:
    """The auth of one connection."""

    secret: str
    text: str
    headers: Mapping[str, Text]
    names: Names
    params: Mapping[str, str]
    algorithm: str = "sha256"
    encoding: str = "hex"
    key: KeyForm = "text"
    clock: Clock = "epoch_ms"

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        del held
        yield Signing(lambda moment: self.signed(request, secrets, moment))

    def signed(self, request: Request, secrets: Mapping[str, str], moment: Moment) -> Request:
        """The request as it is sent at that moment."""
        body = request.body or b""
        parts = {
            "timestamp": written(moment.now, self.clock),
            "nonce": moment.nonce,
            "body_hash": hashlib.new(self.algorithm, body).hexdigest(),
        }
        filled = {name: self.names.fill(text, {}, parts) for name, text in self.params.items()}
        params = [(name, value) for name, value in filled.items() if value is not None]
        request = replace(request, params=[*request.params, *params])
        url = moment.url_of(request)
        split = urlsplit(url)
        parts |= {
            "method": request.method.upper(),
            "full_url": url,
            "url": url.partition("://")[2],
            "host": split.netloc,
            "path": split.path,
            "query": split.query,
        }
        parts["signature"] = ENCODINGS[self.encoding](
            hmac.new(self._key(secrets), self._text(parts, body), self.algorithm).digest()
        )
        sent = {name: parts[name] for name in SENT}
        return replace(
            request, headers={**request.headers, **self.names.headers(self.headers, secrets, sent)}
        )

    def _text(self, parts: Mapping[str, str], body: bytes) -> bytes:
        """Around the body, which needn't be text."""
        pieces = [self.names.fill(piece, {}, parts) or "" for piece in self.text.split("{body}")]
        return body.join(piece.encode() for piece in pieces)

    def _key(self, secrets: Mapping[str, str]) -> bytes:
        secret = open_named(secrets, self.secret)
        try:
            if self.key == "hex":
                return bytes.fromhex(secret)
            return base64.b64decode(secret, validate=True) if self.key == "base64" else secret.encode()
        except ValueError:
            raise NeedsOperator(
                "bad_secret",
                f"The secret {self.secret!r} isn't written in {self.key}, as its system has it.",
                hint="Check what its reference leads to.",
            ) from None


def written(now: datetime, clock: Clock) -> str:
    """A time as the system wants it."""
    if clock == "iso8601":
        return now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now.timestamp() * (1000 if clock == "epoch_ms" else 1)))
