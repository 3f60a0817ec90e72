"""How is a webhook registered at the system? `webhooks.register` becomes requests, and its answers what is registered.

register:
  list: {path: /webhooks, records: data}      # all of them in one answer
  url: target                                 # of one: where it is sent; by this ours are found
  enabled: {status: active}
  expires: expires_at
  secret: webhook_secret                      # what {secret} is
  create: {path: /webhooks, body: {target: "{url}", secret: "{secret}"}}
  renew: {path: "/webhooks/{id}/renew"}
  enable: {method: PATCH, path: "/webhooks/{id}", body: {status: active}}
  remove: {path: "/webhooks/{id}"}
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from worker.connectors.contract import Request, Response
from worker.connectors.manifest.templates import fill, fill_all, fill_path, names_in
from worker.errors import Transient
from worker.secrets import Secret
from worker.webhooks.delivery import Refusal
from worker.webhooks.paths import value_at
from worker.webhooks.registering import Created, Registered, Rules, Wish
from worker.webhooks.times import read_time

FieldPath = tuple[str, ...]
OURS = frozenset({"url", "secret", "topic", "id", "expires"})
"""Names in templates that are no settings."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the manifest."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Where things stand in the system's account of one webhook."""

    id: FieldPath
    url: FieldPath
    topic: FieldPath | None = None
    topic_in: re.Pattern[str] | None = None
    """What of the text there is the topic."""
    enabled: Mapping[FieldPath, Sequence[Any]] = field(default_factory=dict)
    expires: FieldPath | None = None
    expires_form: str = "iso8601"

    def read(self, found: Any) -> Registered | None:
        """None: it has no id that could be named in a request."""
        given = value_at(found, self.id)
        if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
            return None
        url = value_at(found, self.url)
        return Registered(
            id=str(given),
            url=url if isinstance(url, str) else None,
            enabled=all(value_at(found, path) in allowed for path, allowed in self.enabled.items()),
            expires_at=self._time(found),
            topic=self._topic(found),
        )

    def _topic(self, found: Any) -> str | None:
        given = value_at(found, self.topic) if self.topic else None
        if not isinstance(given, str) or self.topic_in is None:
            return given if isinstance(given, str) else None
        match = self.topic_in.search(given)
        return None if match is None else match[match.lastindex or 0]

    def _time(self, found: Any) -> datetime | None:
        given = value_at(found, self.expires) if self.expires else None
        if isinstance(given, bool) or not isinstance(given, str | int):
            return None
        try:
            return read_time(str(given), self.expires_form)
        except Refusal as exc:
            raise Transient("bad_answer", f"When the webhook ends can't be read: {exc}") from None


@dataclass(frozen=True, slots=True)
class RegistrationManifest:
    """What `register:` says."""

    list: Call
    records: FieldPath
    shown: Shown
    create: Call
    remove: Call
    answer: FieldPath = ()
    handed_out: FieldPath | None = None
    renew: Call | None = None
    enable: Call | None = None
    secret: str | None = None
    path_secret: str | None = None
    topics: Sequence[str] = ()
    lasts: float | None = None
    before: float = 86400.0
    every: float = 3600.0


class ManifestRegistration:
    """The registration at the system of one connection."""

    def __init__(self, spec: RegistrationManifest, settings: Mapping[str, Any]) -> None:
        self._spec = spec
        self._settings = settings
        self.topics: Sequence[str] = spec.topics or ("",)
        self.secret = spec.secret
        self.path_secret = spec.path_secret
        self.every = spec.every
        self.rules = Rules(
            renews=spec.renew is not None,
            enables=spec.enable is not None,
            hands_out=spec.handed_out is not None,
            tells_secret=spec.secret is not None,
            before=spec.before,
        )

    def list_all(self) -> Request:
        return self._request(self._spec.list, {})

    def listed(self, response: Response) -> list[Registered]:
        found = _decoded(response)
        items = value_at(found, self._spec.records) if self._spec.records else found
        if not isinstance(items, list):
            raise Transient(
                "bad_answer", f"{response.url} answered without a list of webhooks at `list.records`."
            )
        return [one for one in map(self._spec.shown.read, items) if one is not None]

    def create(self, wish: Wish) -> Request:
        return self._request(self._spec.create, self._names(wish))

    def created(self, response: Response) -> Created:
        found = _decoded(response)
        webhook = self._spec.shown.read(value_at(found, self._spec.answer))
        if webhook is None:
            raise Transient("bad_answer", f"{response.url} didn't say the id of the webhook that it created.")
        secret = value_at(found, self._spec.handed_out) if self._spec.handed_out else None
        if self._spec.handed_out and not (isinstance(secret, str) and secret):
            raise Transient("bad_answer", f"{response.url} didn't say the secret of the webhook.")
        return Created(webhook, Secret(secret) if secret else None)

    def renew(self, wish: Wish, id_: str) -> Request:
        return self._request(self._spec.renew or self._spec.create, self._names(wish) | {"id": id_})

    def enable(self, wish: Wish, id_: str) -> Request:
        return self._request(self._spec.enable or self._spec.create, self._names(wish) | {"id": id_})

    def remove(self, id_: str) -> Request:
        """404 and 410 are as good: it isn't there."""
        return self._request(self._spec.remove, {"id": id_}, absent=frozenset({404, 410}))

    def _names(self, wish: Wish) -> dict[str, str]:
        names = {"url": wish.url, "topic": wish.topic}
        if wish.secret is not None:
            names["secret"] = wish.secret.reveal()
        if self._spec.lasts is not None:
            until = wish.now + timedelta(seconds=self._spec.lasts)
            names["expires"] = _written(until, self._spec.shown.expires_form)
        return names

    def _request(
        self, call: Call, names: Mapping[str, str], *, absent: frozenset[int] = frozenset()
    ) -> Request:
        known = {**self._settings, **names}
        body = None if call.body is None else msgspec.json.encode(_filled(call.body, known))
        headers = {"Accept": "application/json", **fill_all(call.headers, known)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Request(
            method=call.method,
            url=fill_path(call.path, known),
            params=tuple(fill_all(call.params, known).items()),
            headers=headers,
            body=body,
            absent=absent,
        )


def _filled(body: Any, known: Mapping[str, Any]) -> Any:
    """The body with its names; what has a name that isn't given is left out."""
    if isinstance(body, str):
        return fill(body, known)
    if isinstance(body, Mapping):
        filled = {name: _filled(value, known) for name, value in body.items()}
        return {name: value for name, value in filled.items() if value is not None or body[name] is None}
    return [_filled(value, known) for value in body] if isinstance(body, list) else body


def names_in_body(body: Any) -> list[str]:
    """All names that a body asks for."""
    if isinstance(body, str):
        return names_in(body)
    below = body.values() if isinstance(body, Mapping) else body if isinstance(body, list) else ()
    return [name for value in below for name in names_in_body(value)]


def _written(moment: datetime, form: str) -> str:
    if form == "iso8601":
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(int(moment.timestamp() * (1000 if form == "epoch_ms" else 1)))


def _decoded(response: Response) -> Any:
    try:
        return msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Transient("bad_answer", f"{response.url} answered without JSON.") from None
