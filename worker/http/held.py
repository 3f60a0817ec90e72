"""What is held of a connection's log-in between requests?

It is dropped when a secret or setting of the connection has changed since, so that no other system sees it, or when it has
come to its end.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from os import urandom
from threading import Lock
from time import monotonic, time

from worker.secrets import Secret

MOST_CONNECTIONS = 20_000
EXPIRES_IN, EXPIRES_AT = "expires_in", "expires_at"
"""Among what is held: for how many seconds it is good, or until when, in seconds since 1970."""
MARGIN, LONGEST_MARGIN = 0.1, 60.0
"""A token is renewed when so much of its life is left, and no more than so many seconds: it must last for a request."""
NOTHING: Mapping[str, str] = {}


@dataclass(slots=True)
class Held:
    """What a connection's `Auth` keeps in this process."""

    digest: bytes
    changed: bool = False
    """Secrets or settings are others than those that this process knew before, and were not tried yet."""
    values: dict[str, str] = field(default_factory=dict, repr=False)
    lock: Lock = field(default_factory=Lock)
    ends: float = float("inf")
    """When what is held is too old to be used, by the monotonic clock."""
    leave: "Callable[[], None] | None" = None
    """Logs out, where what is held is a session."""
    before: "Held | None" = None
    """What was held of a session by other secrets or settings, until it is given back."""

    @property
    def usable(self) -> bool:
        return bool(self.values) and monotonic() < self.ends

    def settle(self) -> None:
        """Read off how long a token that has just come is good for."""
        said = self.values.pop(EXPIRES_IN, None)
        until = self.values.pop(EXPIRES_AT, None)
        seconds = None if said is None else _seconds(said)
        if until is not None and (moment := _seconds(until)) is not None:
            seconds = max(0.0, moment - time())
        if seconds is not None:
            self.ends = monotonic() + seconds - min(MARGIN * seconds, LONGEST_MARGIN)

    def clear(self) -> None:
        self.values.clear()
        self.ends = float("inf")


class HeldTokens:
    """What is held for each connection; those not used for longest go first."""

    def __init__(self) -> None:
        self._key = urandom(32)
        self._lock = Lock()
        self._held: OrderedDict[int, Held] = OrderedDict()

    def of(
        self, connection_id: int, secrets: Mapping[str, Secret], logs_in_by: Mapping[str, str] = NOTHING
    ) -> Held:
        """What is held for the connection, if it was got with these secrets, from these places, by these settings.

        Somebody who logs it in anew puts what they were given elsewhere: of a secret that its system replaces each time,
        only its reference tells that.
        """
        digest = self._digest(secrets, logs_in_by)
        with self._lock:
            held = self._held.get(connection_id)
            if held is None or held.digest != digest:
                before = held if held is not None and held.leave is not None else None
                held = self._held[connection_id] = Held(digest, changed=held is not None, before=before)
            self._held.move_to_end(connection_id)
            if len(self._held) > MOST_CONNECTIONS:
                self._held.popitem(last=False)
            return held

    def give_back(self, within: float) -> None:
        """Log out of the sessions that are held, as many as can be in so many seconds: nobody asks for anything any more."""
        until = monotonic() + within
        with self._lock:
            leaving = [held for held in self._held.values() if held.values and held.leave is not None]
        for held in leaving:
            if held.leave is not None and monotonic() < until:
                held.leave()

    def _digest(self, secrets: Mapping[str, Secret], logs_in_by: Mapping[str, str]) -> bytes:
        state = blake2b(key=self._key)
        values = [(name, secrets[name].reveal()) for name in sorted(secrets)]
        for pair in (*values, *sorted(logs_in_by.items())):
            for text in pair:
                raw = text.encode("utf-8", "surrogatepass")
                state.update(len(raw).to_bytes(8, "big") + raw)
        return state.digest()


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
