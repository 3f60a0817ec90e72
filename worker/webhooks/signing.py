"""What is signed, with which key, and how is the result written? The parts that schemes of signatures are made of.

A signature is compared as the text that a right one would be, so that no second way of writing the same bytes passes.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from worker.secrets import Secret
from worker.webhooks.delivery import Delivery, Refusal

MOST_SECRETS = 8
"""Of which one may prove a webhook, while they are rotated."""

ALGORITHMS = ("sha1", "sha256", "sha512")
ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "hex": binascii.hexlify,
    "hex_upper": lambda digest: binascii.hexlify(digest).upper(),
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
}
"""How a digest is written."""
KEYS = ("text", "hex", "base64", "sha256_hex")
"""How a secret becomes the key."""

_HOLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Signed:
    """What is signed: a text with `{body}`, `{timestamp}`, `{url}`, `{method}`, `{rest}` and `{header:name}` in it."""

    template: str

    @property
    def holes(self) -> Sequence[str]:
        return _pieces(self.template)[1]

    def fault(self) -> str | None:
        """What is wrong with the text, in words."""
        for hole in self.holes:
            if hole not in {"body", "timestamp", "url", "method"} and not re.fullmatch(
                r"header:[a-z0-9!#$%&'*+.^_`|~-]+", hole
            ):
                return (
                    f"{{{hole}}} stands for nothing: there are body, timestamp, url, method and header:name"
                )
        return None

    def of(self, delivery: Delivery, timestamp: str | None) -> bytes:
        """The bytes; `Refusal` where a part of them didn't come."""
        if self.template == "{body}":
            return delivery.body
        between, holes = _pieces(self.template)
        filled = [
            _part(hole, delivery, timestamp) + after for hole, after in zip(holes, between[1:], strict=True)
        ]
        return between[0] + b"".join(filled)


@lru_cache(maxsize=1_000)
def _pieces(template: str) -> tuple[Sequence[bytes], Sequence[str]]:
    """What stands between the holes, and the holes. Read once for each manifest, and not for each webhook."""
    texts = _HOLE.split(template)
    return tuple(text.encode() for text in texts[::2]), tuple(texts[1::2])


def _part(hole: str, delivery: Delivery, timestamp: str | None) -> bytes:
    if hole == "body":
        return delivery.body
    if hole in {"url", "method"}:
        return str(getattr(delivery, hole)).encode("utf-8", "surrogatepass")
    name = hole.removeprefix("header:")
    value = timestamp if hole == "timestamp" else delivery.header(name)
    if value is None:
        raise Refusal("no_signature", f"What is signed should hold the {name}, which did not come, or twice.")
    return value.encode("latin-1", "replace")


def digest_of(key: bytes, signed: bytes, algorithm: str) -> bytes:
    """What signs it. `hmac.digest` would let go of the interpreter for each, and wait for whoever takes it meanwhile."""
    return hmac.new(key, signed, algorithm).digest()


@dataclass(frozen=True, slots=True)
class Key:
    """How a secret becomes the key that signs."""

    form: str = "text"
    prefix: str = ""
    """Taken off the secret first, such as `whsec_`."""

    def of(self, secret: str, name: str) -> bytes:
        text = secret.removeprefix(self.prefix)
        if self.form == "text":
            return text.encode()
        if self.form == "sha256_hex":
            return hashlib.sha256(text.encode()).hexdigest().encode()
        try:
            if self.form == "hex":
                return bytes.fromhex(text)
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise Refusal("bad_secret", f"The secret {name} isn't written in {self.form}.") from None


def secrets_of(names: Iterable[str], opened: Mapping[str, Secret]) -> list[tuple[str, str]]:
    """Names and texts of all secrets that may prove a webhook; `Refusal` where there is none."""
    found = [
        (name, line.strip())
        for name in names
        if name in opened
        for line in opened[name].reveal().splitlines()
        if line.strip()
    ][:MOST_SECRETS]
    if not found:
        raise Refusal(
            "no_secret", f"The connection references none of the secrets that prove it: {', '.join(names)}."
        )
    return found


def is_one_of(given: Iterable[bytes], right: Iterable[bytes]) -> bool:
    """Whether something given is right, in a time that says nothing of how nearly."""
    rights = list(right)
    found = False
    for one in given:
        for other in rights:
            found |= hmac.compare_digest(one, other)
    return found
