"""What stands in the place of what must not be known? Digests made with a secret key.

A digest without a key can be tried out: there are few names and fewer work order numbers. With one it says only whether
two values are the same, to whoever holds the database and not the key.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from worker.config import Settings
from worker.errors import NeedsOperator
from worker.secrets import open_secret

SHORTEST_KEY = 16
PREFIX = "hmac:"
_BYTES = 16


@dataclass(frozen=True, slots=True)
class PrivacyKey:
    """The installation's key. One for all streams, so that what is equal in two of them stays equal, and joins."""

    secret: bytes

    def of_value(self, text: str) -> str:
        """What is stored instead of a value."""
        return PREFIX + self._digest(b"value\0", text).hex()

    def of_key(self, stream_id: int, key: str) -> bytes:
        """By which a record that was erased is known again."""
        return self._digest(b"record\0%d\0" % stream_id, key)

    @property
    def mark(self) -> bytes:
        """Tells one key from another, and nothing of it."""
        return self._digest(b"mark\0", "")[:8]

    def _digest(self, purpose: bytes, text: str) -> bytes:
        whole = hmac.digest(self.secret, purpose + text.encode("utf-8", "surrogatepass"), sha256)
        return whole[:_BYTES]


def privacy_key(settings: Settings) -> PrivacyKey:
    """The key that the settings refer to, or `NeedsOperator` that says how to make one."""
    if settings.privacy_key is None:
        raise NeedsOperator(
            "no_privacy_key",
            "Fields are to be hashed, or records were erased, and there is no key to make digests with.",
            hint="Set HEADRACE_PRIVACY_KEY to env://NAME or file:///path, the same for every worker: docs/privacy.md.",
        )
    value = open_secret(settings.privacy_key).reveal()
    if len(value) < SHORTEST_KEY:
        raise NeedsOperator(
            "weak_privacy_key",
            f"The key behind HEADRACE_PRIVACY_KEY is shorter than {SHORTEST_KEY} characters.",
            hint="Make one with `openssl rand -hex 32`.",
        )
    return PrivacyKey(value.encode())
