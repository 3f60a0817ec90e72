"""Who asked the demo system to be told of changes? Webhooks that its clients register, as at a system that they rent.

One lasts for some days unless it is renewed, and is suspended where nobody takes what is sent. Kept in a file beside the
journal, where there is one: a system forgets none when it restarts.
"""

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from scheduler.embedded.demo.hooks.hooks import Hooks
from scheduler.embedded.demo.hooks.message import PREFIX, BadSecret, key_of
from scheduler.embedded.demo.plant.memory.journal import JournalError
from scheduler.embedded.demo.plant.schema import iso
from scheduler.embedded.private_files import write_private

LASTS = 7 * 86_400_000
"""Milliseconds from its creation or renewal."""
SUSPENDED_AFTER = 20
"""So many in a row that nobody took."""
MOST = 100


class BadSubscription(ValueError):
    """What was asked for can't be, and why."""


class Subscription(msgspec.Struct):
    """One receiver, and until when it is told."""

    id: str
    url: str
    secret: str
    created_at: int
    expires_at: int
    active: bool = True

    def as_json(self) -> dict[str, Any]:
        """The secret is said once, at the creation, by whoever chose it."""
        return {
            "id": self.id,
            "url": self.url,
            "status": "active" if self.active else "suspended",
            "created_at": iso(self.created_at),
            "expires_at": iso(self.expires_at),
        }


class Subscriptions:
    """All of them. Used from the event loop's thread; `now` is the system's time in milliseconds."""

    def __init__(self, hooks: Hooks, file: Path | None = None) -> None:
        """Raises JournalError for a file that can't be read."""
        self._hooks, self._file = hooks, file
        self._held = {found.id: found for found in _kept(file)}
        for found in self._held.values():
            self._listen(found)

    def all(self, now: int) -> list[dict[str, Any]]:
        self.look(now)
        return [found.as_json() for found in self._held.values()]

    def create(self, body: Mapping[str, Any], now: int) -> dict[str, Any]:
        """A new one, for `url`; signed with `secret`, or with one that is made and told. Raises BadSubscription."""
        self.look(now)
        if len(self._held) >= MOST:
            raise BadSubscription(f"There are {MOST} webhooks already.")
        made = None if "secret" in body else PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        found = Subscription(
            id=f"wh_{uuid4().hex}",
            url=_url(body.get("url")),
            secret=made or _secret(body.get("secret")),
            created_at=now,
            expires_at=now + LASTS,
        )
        self._held[found.id] = found
        self._listen(found)
        self._keep()
        return found.as_json() | ({"secret": made} if made else {})

    def renew(self, id_: str, now: int) -> dict[str, Any]:
        """It lasts from now. Raises KeyError."""
        self.look(now)
        self._held[id_].expires_at = now + LASTS
        self._keep()
        return self._held[id_].as_json()

    def change(self, id_: str, body: Mapping[str, Any], now: int) -> dict[str, Any]:
        """Suspend it, or let it go on. Raises KeyError, BadSubscription."""
        self.look(now)
        found = self._held[id_]
        if body.keys() != {"status"} or body["status"] not in ("active", "suspended"):
            raise BadSubscription("All that can be changed is status: active or suspended.")
        if found.active != (body["status"] == "active"):
            found.active = not found.active
            self._listen(found)
            self._keep()
        return found.as_json()

    def remove(self, id_: str) -> None:
        """Raises KeyError."""
        del self._held[id_]
        self._hooks.ignore(id_)
        self._keep()

    def look(self, now: int) -> None:
        """Forget those whose time is over, and suspend those that nobody listens to."""
        over = [found.id for found in self._held.values() if found.expires_at <= now]
        for id_ in over:
            self.remove(id_)
        for found in self._held.values():
            if found.active and self._hooks.in_vain(found.id) >= SUSPENDED_AFTER:
                found.active = False
                self._listen(found)
                self._keep()

    def _listen(self, found: Subscription) -> None:
        if found.active:
            self._hooks.listen(found.id, found.url, [found.secret])
        else:
            self._hooks.ignore(found.id)

    def _keep(self) -> None:
        if self._file is not None:
            write_private(self._file, msgspec.json.encode(list(self._held.values())).decode())


def _kept(file: Path | None) -> list[Subscription]:
    try:
        if file is None or not file.exists():
            return []
        return msgspec.json.decode(file.read_bytes(), type=list[Subscription])
    except (OSError, msgspec.MsgspecError) as error:
        raise JournalError(f"{file} can't be read: {error}.") from error


def _url(given: Any) -> str:
    try:
        parts = urlsplit(given if isinstance(given, str) else "")
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and len(given) <= 2000
    except ValueError:
        good = False
    if not good:
        raise BadSubscription("url must be an http or https URL.")
    url: str = given
    return url


def _secret(given: Any) -> str:
    try:
        key_of(given if isinstance(given, str) else "")
    except BadSecret as wrong:
        raise BadSubscription(str(wrong)) from None
    secret: str = given
    return secret
