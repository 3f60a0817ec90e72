"""The webhooks of one source, as its manifest describes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.connectors.contract import Delivery, Hint, Page, Registration, Reply, Stream
from worker.connectors.manifest.webhooks.mapping import EventMapping
from worker.connectors.manifest.webhooks.registration import ManifestRegistration, RegistrationManifest
from worker.secrets import Secret
from worker.webhooks.delivery import Told
from worker.webhooks.handshake import Handshake
from worker.webhooks.schemes import Scheme, verify_all


@dataclass(frozen=True, slots=True)
class WebhooksManifest:
    """What `webhooks:` says."""

    schemes: tuple[Scheme, ...]
    events: EventMapping
    handshake: Handshake = field(default_factory=Handshake)
    register: RegistrationManifest | None = None


class ManifestWebhooks:
    """How they are proved and understood."""

    def __init__(
        self, spec: WebhooksManifest, stream: Callable[[str], Stream], settings: Mapping[str, Any]
    ) -> None:
        self._spec = spec
        self._stream = stream
        self.registration: Registration | None = (
            None if spec.register is None else ManifestRegistration(spec.register, settings)
        )
        self._dated = any(scheme.dated for scheme in spec.schemes)
        echo = spec.handshake.echo
        names = [name for scheme in spec.schemes for name in scheme.secrets]
        self.secret_names: Sequence[str] = list(dict.fromkeys([*names, *(echo.secrets if echo else ())]))
        self.streams: frozenset[str] = frozenset(rule.stream for rule in spec.events.rules)
        self.believes_deletes: Mapping[str, bool] = {
            stream: all(rule.believed for rule in spec.events.rules if rule.deleted and rule.stream == stream)
            for stream in {rule.stream for rule in spec.events.rules if rule.deleted}
        }

    def handshake(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> Reply | None:
        return self._spec.handshake.reply(delivery, secrets, now, self._spec.schemes)

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        return verify_all(self._spec.schemes, delivery, secrets, now)

    def told(self, delivery: Delivery, proved: bytes, fresh: str) -> Told[Hint]:
        return self._spec.events.told(delivery, proved if self._dated else None, self._parse, fresh)

    def _parse(self, stream: str, raw: bytes) -> Page:
        return self._stream(stream).parse([raw])
