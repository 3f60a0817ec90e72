"""Is a webhook registered at its system as it should be, and what is the next thing to do about it? Pure.

Ours are known by their URL, which no other connection has. So one whose creation was never answered is found again, and
one that came to be twice goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from worker.errors import InvalidInput
from worker.secrets import Secret

Act = Literal["keep", "create", "renew", "enable", "remove"]


@dataclass(frozen=True, slots=True)
class Registered:
    """A webhook as the system knows it."""

    id: str
    url: str | None = None
    enabled: bool = True
    expires_at: datetime | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """What the system answered to a creation. `secret`: what it will sign with, where it chooses that."""

    webhook: Registered
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What should be registered. `base` is the URL without a secret in it."""

    base: str
    url: str
    now: datetime
    topic: str = ""
    secret: Secret | None = None

    def is_for(self, found: Registered) -> bool:
        """Whether it is ours: at our URL, even with a secret behind it that was rotated since."""
        url = found.url or ""
        return (url == self.base or url.startswith(f"{self.base}/")) and self.is_topic(found)

    def is_topic(self, found: Registered) -> bool:
        return not self.topic or found.topic == self.topic


@dataclass(frozen=True, slots=True)
class Rules:
    """What the system can do with a webhook that is there."""

    renews: bool
    enables: bool
    hands_out: bool
    """It chooses the secret and says it once."""
    tells_secret: bool
    """One of both tells the other the secret at the creation: what we didn't create has another one, or none."""
    before: float
    """Seconds before its end in which it is renewed."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and with which of the system's."""

    act: Act
    webhook: Registered | None = None


def next_step(
    listed: Sequence[Registered], wish: Wish, known: str | None, rules: Rules, *, settled: bool
) -> Step:
    """What to do now. After a removal ask again, with the list as it is then. `known`: the id of what we created.

    `settled`: it was created since it was last asked for, with the secret of then.
    """
    ours = ours_of(listed, wish, known)
    right = [
        found
        for found in ours
        if found.url == wish.url
        and wish.is_topic(found)
        and (not rules.tells_secret or (settled and found.id == known))
    ]
    best = min(right, key=lambda found: (found.id != known, not found.enabled, found.id), default=None)
    if (extra := next((found for found in ours if found is not best), None)) is not None:
        return Step("remove", extra)
    if best is None:
        return Step("create")
    if not best.enabled:
        return Step("enable" if rules.enables else "remove", best)
    due = best.expires_at is not None and best.expires_at - wish.now <= timedelta(seconds=rules.before)
    return Step("renew" if due and rules.renews else "keep", best)


def ours_of(listed: Sequence[Registered], wish: Wish, known: str | None) -> list[Registered]:
    """What is registered for us: by our URL, or under the id that we know, wherever it is sent to by now."""
    return [found for found in listed if found.id == known or wish.is_for(found)]


def look_again(expires_at: datetime | None, now: datetime, every: float) -> float:
    """Seconds until it is looked at next: often enough to renew what lasts for a short while."""
    if expires_at is None:
        return every
    return max(60.0, min(every, (expires_at - now).total_seconds() / 2))


def patience(attempts: int) -> float:
    """Seconds until the next try, after so many that failed."""
    return min(6 * 3600.0, 60.0 * 2.0 ** min(attempts, 10))


def secret_to_send(secret: Secret) -> Secret:
    """The newest of several while they are rotated: the first line."""
    lines = secret.reveal().split("\n")
    if not (first := lines[0].strip()):
        raise InvalidInput("bad_value", "The secret begins with an empty line.")
    return Secret(first)
