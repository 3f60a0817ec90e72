"""What does a system ask before it sends webhooks, and what does it want to hear? Echoes of its own words.

An echo is text of at most 2,000 plain characters: whoever asks hears nothing but what they said.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from worker.secrets import Secret
from worker.webhooks.delivery import Delivery, Refusal, Reply
from worker.webhooks.paths import value_at
from worker.webhooks.schemes import Scheme, verify_all
from worker.webhooks.signing import is_one_of, secrets_of

_PLAIN = re.compile(r"[\x20-\x7e]{1,2000}\Z")
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Echo:
    """A parameter of the query is the answer. With `token_param`, another one must be the secret."""

    param: str
    token_param: str | None = None
    secrets: tuple[str, ...] = ()

    def reply(self, delivery: Delivery, secrets: Mapping[str, Secret]) -> Reply | None:
        value = delivery.param(self.param)
        if value is None or not _PLAIN.match(value):
            return None
        if self.token_param is not None:
            given = (delivery.param(self.token_param) or "").encode("utf-8", "replace")
            right = [secret.encode() for _, secret in secrets_of(self.secrets, secrets)]
            if not is_one_of([given], right):
                raise Refusal("bad_token", f"The parameter {self.token_param} holds another secret.")
        return Reply(200, value.encode(), _TEXT)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A field of a signed body is the answer, as text or under a name in JSON."""

    path: tuple[str, ...]
    where: Mapping[tuple[str, ...], Sequence[Any]] = field(default_factory=dict)
    reply_name: str | None = None

    def reply(self, data: Any) -> Reply | None:
        value = value_at(data, self.path)
        if not isinstance(value, str) or not _PLAIN.match(value):
            return None
        if any(value_at(data, path) not in allowed for path, allowed in self.where.items()):
            return None
        if self.reply_name is None:
            return Reply(200, value.encode(), _TEXT)
        return Reply(200, json.dumps({self.reply_name: value}).encode(), _JSON)


@dataclass(frozen=True, slots=True)
class Handshake:
    """All that a system may ask."""

    echo: Echo | None = None
    challenge: Challenge | None = None
    probe: bool = False
    """A GET without anything only asks whether somebody is there. So does a HEAD, which is answered everywhere."""

    def reply(
        self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime, schemes: Sequence[Scheme]
    ) -> Reply | None:
        """What to answer; None: it is none. A secret in the path must be right here, too."""
        if delivery.method != "GET" and self.echo is None and self.challenge is None:
            return None
        if self.echo is not None and delivery.param(self.echo.param) is not None:
            self._check_path(delivery, secrets, now, schemes)
            return self.echo.reply(delivery, secrets)
        if delivery.method == "GET" and self.probe:
            self._check_path(delivery, secrets, now, schemes)
            return Reply()
        if self.challenge is not None and delivery.method == "POST" and delivery.body:
            return self._met(self.challenge, delivery, secrets, now, schemes)
        return None

    def _check_path(
        self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime, schemes: Sequence[Scheme]
    ) -> None:
        for scheme in schemes:
            if scheme.early:
                scheme.verify(delivery, secrets, now)

    def _met(
        self,
        challenge: Challenge,
        delivery: Delivery,
        secrets: Mapping[str, Secret],
        now: datetime,
        schemes: Sequence[Scheme],
    ) -> Reply | None:
        try:
            reply = challenge.reply(msgspec.json.decode(delivery.body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if reply is not None:
            verify_all(schemes, delivery, secrets, now)
        return reply
