"""How does a system prove that a webhook is its own? One class for each way; all are pure and compare in constant time.

Each of several secrets counts while they are rotated, and each of several signatures in one header.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from worker.secrets import Secret
from worker.webhooks.delivery import Delivery, Refusal
from worker.webhooks.paths import values_at
from worker.webhooks.signing import ENCODINGS, Key, Signed, digest_of, is_one_of, secrets_of
from worker.webhooks.times import TOLERANCE, check_age

MOST_SIGNATURES = 16


class Scheme(Protocol):
    """One way to prove a webhook."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets of which one proves it."""
        ...

    @property
    def dated(self) -> bool:
        """Two webhooks with equal bodies differ in what is proved."""
        ...

    @property
    def early(self) -> bool:
        """It needs no more than the request's path, so a handshake must pass it, too."""
        ...

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        """What was proved, for a digest; `Refusal` for what isn't the system's."""
        ...


@dataclass(frozen=True, slots=True)
class Hmac:
    """A signature over bytes of the request, in a header of its own or as `t=…,v1=…`."""

    secrets: tuple[str, ...]
    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: Signed = field(default_factory=lambda: Signed("{body}"))
    key: Key = field(default_factory=Key)
    pairs: str = ""
    """What stands between name and value, where the header holds a list of such: `=` in `t=1,v1=ab`, `,` in `v1,ab v1,cd`."""
    separator: str = ","
    """What stands between two of them."""
    version: str = "v1"
    """The name of those that are signatures; others are of other algorithms."""
    time_name: str | None = None
    """The name of the one that is the time of the signature."""
    time_header: str | None = None
    """Or the header that is."""
    time_form: str = "epoch_s"
    tolerance: float = TOLERANCE

    @property
    def dated(self) -> bool:
        holes = self.signed.holes
        return any(hole == "timestamp" or hole.startswith("header:") for hole in holes)

    @property
    def early(self) -> bool:
        return False

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        text = delivery.header(self.header)
        if text is None:
            raise Refusal("no_signature", f"The header {self.header} did not come, or twice.")
        given, timestamp = self._read(text)
        if self.time_header is not None:
            timestamp = delivery.header(self.time_header)
        signed = self.signed.of(delivery, timestamp)
        keys, unusable = self._keys(secrets)
        right = [ENCODINGS[self.encoding](digest_of(key, signed, self.algorithm)) for key in keys if key]
        if not is_one_of(given, right):
            if unusable is not None:
                raise unusable
            raise Refusal("bad_signature", f"No signature in {self.header} is right. {self._what_is_signed}")
        if timestamp is not None:
            check_age(timestamp, self.time_form, self.tolerance, now)
        return signed

    def _keys(self, secrets: Mapping[str, Secret]) -> tuple[list[bytes], Refusal | None]:
        """Those that sign, and what is wrong with a secret that can't: beside a good one it does no harm."""
        keys: list[bytes] = []
        unusable: Refusal | None = None
        for name, secret in secrets_of(self.secrets, secrets):
            try:
                keys.append(self.key.of(secret, name))
            except Refusal as refusal:
                unusable = refusal
        return keys, unusable

    def _read(self, text: str) -> tuple[list[bytes], str | None]:
        """The signatures in the header, and the time."""
        if not self.pairs:
            if not text.startswith(self.prefix):
                raise Refusal("bad_signature", f"{self.header} doesn't begin with {self.prefix!r}.")
            return [text[len(self.prefix) :].encode("latin-1", "replace")], None
        found = [part.strip().partition(self.pairs) for part in text.split(self.separator)]
        times = [value for name, _, value in found if name == self.time_name]
        if len(times) > 1:
            raise Refusal("bad_timestamp", f"{self.header} names two times.")
        signatures = [value.encode("latin-1", "replace") for name, _, value in found if name == self.version]
        return signatures[:MOST_SIGNATURES], times[0] if times else None

    @property
    def _what_is_signed(self) -> str:
        return f"Signed is {self.signed.template}, by HMAC with {self.algorithm}, written in {self.encoding}."


@dataclass(frozen=True, slots=True)
class Header:
    """A secret that stands in a header as it is. It proves who sends, and nothing about what is sent."""

    secrets: tuple[str, ...]
    header: str
    prefix: str = ""
    dated: bool = False
    early: bool = False

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        del now
        text = delivery.header(self.header)
        if text is None:
            raise Refusal("no_signature", f"The header {self.header} did not come, or twice.")
        right = [(self.prefix + secret).encode() for _, secret in secrets_of(self.secrets, secrets)]
        if not is_one_of([text.encode("latin-1", "replace")], right):
            raise Refusal("bad_token", f"The header {self.header} holds another secret.")
        return delivery.body


@dataclass(frozen=True, slots=True)
class Field:
    """A secret in the body, such as `clientState`; where events come together, each must hold it."""

    secrets: tuple[str, ...]
    path: tuple[str, ...]
    dated: bool = False
    early: bool = False

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        del now
        right = [secret.encode() for _, secret in secrets_of(self.secrets, secrets)]
        try:
            found = values_at(msgspec.json.decode(delivery.body), self.path)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Refusal("malformed", "The body is no JSON.") from None
        given = [value.encode() if isinstance(value, str) else b"" for value in found]
        if not given or not all([is_one_of([value], right) for value in given]):  # noqa: C419 - no early end
            raise Refusal("bad_token", f"{'.'.join(self.path)} holds another secret, or none.")
        return delivery.body


@dataclass(frozen=True, slots=True)
class SecretPath:
    """A secret behind the connection's name in the URL, where a system has nothing better."""

    secrets: tuple[str, ...]
    dated: bool = False
    early: bool = True

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        del now
        right = [secret.encode() for _, secret in secrets_of(self.secrets, secrets)]
        if not is_one_of([delivery.rest.encode("utf-8", "replace")], right):
            raise Refusal("bad_token", "The path doesn't end in the connection's secret.")
        return delivery.body


def verify_all(
    schemes: Sequence[Scheme], delivery: Delivery, secrets: Mapping[str, Secret], now: datetime
) -> bytes:
    """All must pass. What the first that is dated has proved, else the first of all: two that differ are two events."""
    proved = [(scheme.dated, scheme.verify(delivery, secrets, now)) for scheme in schemes]
    return next((signed for dated, signed in proved if dated), proved[0][1])
