"""How does one webhook come to be registered at its system as it should be, and how does it go? Sends, and notes nothing.

Before anything is created the system is asked what it has of ours, so doing it again after a crash, or after an answer
that never came, leaves no second one: what is found is kept, or gives way where nobody knows with which secret it signs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import structlog

from scheduler.connections.systems import source_of
from worker.connectors.contract import Registration, Request, Response
from worker.connectors.registry import Registry
from worker.errors import InvalidInput, NeedsOperator, Transient
from worker.http.sender import CallContext, Sender
from worker.runs.states import Lane
from worker.secrets import Secret, check_reference, is_writable, open_secret, write_secret
from worker.telemetry.redaction import redactor
from worker.telemetry.steps import Steps
from worker.webhooks.registering import (
    Act,
    Created,
    Registered,
    Step,
    Wish,
    next_step,
    ours_of,
    secret_to_send,
)

log = structlog.get_logger()

ROUNDS = 10
"""So many are removed in one go at most: others of ours, from another time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How it is registered now; `act` is what was done for that."""

    act: Act
    webhook: Registered


class Registrar:
    """Of one row: a connection's webhook, with all that it takes to speak to its system."""

    def __init__(self, sender: Sender, registry: Registry, row: Mapping[str, Any]) -> None:
        self._sender = sender
        self._row = row
        self._connection: Mapping[str, Any] = row["connection"]
        source = source_of(registry, self._connection)
        found = source.webhooks.registration if source.webhooks is not None else None
        if found is None:
            raise InvalidInput(
                "webhooks_not_registrable",
                f"The manifest of {self._connection['system']} no longer says how webhooks are registered.",
            )
        self._registration: Registration = found
        secrets: Mapping[str, str] = self._connection["secrets"]
        left_out = found.secret if found.rules.hands_out else None  # there may be none yet
        self._context = CallContext(
            connection_id=row["connection_id"],
            account=self._connection["account"],
            lane=int(Lane.ON_DEMAND),
            source=source,
            secrets={name: reference for name, reference in secrets.items() if name != left_out},
            request_id=f"webhooks-{uuid4()}",
            steps=Steps(),
            reads=False,
            environment=self._connection["environment"],
            network=self._connection["network"],
            settings=self._connection["settings"],
        )

    @property
    def every(self) -> float:
        """Seconds between two looks."""
        return self._registration.every

    def keep(self) -> Kept:
        """Let it be registered as it is wanted."""
        wish = self._wish()
        for _ in range(ROUNDS):
            step = next_step(
                self._listed(),
                wish,
                self._row["remote_id"],
                self._registration.rules,
                settled=self._row["settled"],
            )
            if step.act != "remove":
                return self._done(step, wish)
            self._remove(step)
        raise Transient("webhooks_left", "The system lists webhooks of ours, however many are removed.")

    def remove(self) -> None:
        """Let none of ours be there."""
        wish = Wish(
            base=self._row["url"], url=self._row["url"], now=datetime.now(UTC), topic=self._row["topic"]
        )
        for _ in range(ROUNDS):
            ours = ours_of(self._listed(), wish, self._row["remote_id"])
            if not ours:
                return
            for found in ours:
                self._remove(Step("remove", found))
        raise Transient("webhooks_left", "The system still lists the webhook after it was removed.")

    def _done(self, step: Step, wish: Wish) -> Kept:
        registration, webhook = self._registration, step.webhook
        if webhook is None:
            webhook = self._create(wish).webhook
        elif step.act == "renew":
            self._send(registration.renew(wish, webhook.id))
        elif step.act == "enable":
            self._send(registration.enable(wish, webhook.id))
        if step.act != "keep":
            self._say(step.act, webhook)
        return Kept(step.act, webhook)

    def _create(self, wish: Wish) -> Created:
        reference = self._reference(self._registration.secret) if self._registration.rules.hands_out else None
        if reference is not None:
            check_reference(reference, environment=self._connection["environment"])
            if not is_writable(reference):
                raise NeedsOperator(
                    "secret_not_writable",
                    f"The system hands out {self._registration.secret}, and it can't be written to its reference.",
                    hint="Reference a place that can be written, such as a file or a vault.",
                )
        created = self._registration.created(self._send(self._registration.create(wish)))
        if reference is not None and created.secret is not None:
            write_secret(reference, created.secret.reveal())
        return created

    def _remove(self, step: Step) -> None:
        if step.webhook is not None:
            self._send(self._registration.remove(step.webhook.id))
            self._say(step.act, step.webhook)

    def _listed(self) -> list[Registered]:
        return self._registration.listed(self._send(self._registration.list_all()))

    def _send(self, request: Request) -> Response:
        return self._sender.send(self._context, request)

    def _wish(self) -> Wish:
        registration, base = self._registration, self._row["url"]
        sends = registration.secret is not None and not registration.rules.hands_out
        url = base
        if registration.path_secret is not None:
            url = f"{base}/{quote(self._open(registration.path_secret).reveal(), safe='')}"
        return Wish(
            base=base,
            url=url,
            now=datetime.now(UTC),
            topic=self._row["topic"],
            secret=self._open(registration.secret) if sends else None,
        )

    def _open(self, name: str | None) -> Secret:
        environment = self._connection["environment"]
        sent = secret_to_send(open_secret(self._reference(name), environment=environment))
        redactor.add(sent.reveal())  # one line of several, which a system may repeat in what it says
        return sent

    def _reference(self, name: str | None) -> str:
        reference: str | None = self._connection["secrets"].get(name)
        if reference is None:
            message = f"The connection references no secret {name}, which proves its webhooks."
            raise NeedsOperator("secret_missing", message, hint="Give the connection a reference to it.")
        return reference

    def _say(self, act: Act, webhook: Registered) -> None:
        log.info(
            "webhook_registration", act=act, connection_id=self._row["connection_id"], remote_id=webhook.id
        )
