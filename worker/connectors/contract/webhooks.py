"""What a system tells by itself: how that is proved and read, and how it is asked to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from worker.connectors.contract.exchange import Request, Response
from worker.secrets import Secret
from worker.webhooks.delivery import Delivery, Reply, Told
from worker.webhooks.registering import Created, Registered, Rules, Wish

HintKind = Literal["record", "full", "delete", "stream"]
"""What a webhook says: look at this record; here it is, whole; it is gone; something in this stream has changed."""


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that a webhook tells of. It is a hint: what the copy takes from it is the engine's to decide."""

    stream: str
    kind: HintKind
    event_key: str
    """The system's id of this event, or a digest: the same twice is the same event."""
    key: str | None = None
    """Of the record; None with `stream` alone."""
    type: str | None = None
    """As the system calls it."""
    record: bytes | None = None
    """With `full`: the record's bytes."""
    said_at: datetime | None = None
    """When it happened, as the system says."""


class Registration(Protocol):
    """How webhooks are registered at a system. Makes requests and reads answers; sends nothing."""

    topics: Sequence[str]
    """Each is registered by itself; one empty text where one is for all."""
    secret: str | None
    """The secret that is sent, or that the system hands out."""
    path_secret: str | None
    """The secret that stands in the URL."""
    every: float
    """Seconds between two looks."""
    rules: Rules

    def list_all(self) -> Request: ...
    def listed(self, response: Response) -> list[Registered]: ...
    def create(self, wish: Wish) -> Request: ...
    def created(self, response: Response) -> Created: ...
    def renew(self, wish: Wish, id_: str) -> Request: ...
    def enable(self, wish: Wish, id_: str) -> Request: ...
    def remove(self, id_: str) -> Request: ...


class Webhooks(Protocol):
    """How a system's webhooks are proved and understood. Opens nothing and reads no clock.

    `secrets` are opened values by the manifest's names for them; one that holds several lines is several secrets, any of
    which may prove a webhook while they are rotated.
    """

    @property
    def registration(self) -> Registration | None:
        """How they are registered; None: people do that at the system."""
        ...

    @property
    def secret_names(self) -> Sequence[str]:
        """The secrets that prove webhooks, of those that the manifest names."""
        ...

    def handshake(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> Reply | None:
        """What to answer where the system only asks whether somebody is there. None: it is no handshake."""
        ...

    def verify(self, delivery: Delivery, secrets: Mapping[str, Secret], now: datetime) -> bytes:
        """What was proved, for `told`. Raises `worker.webhooks.delivery.Refusal` for what isn't the system's, or is too old."""
        ...

    def told(self, delivery: Delivery, proved: bytes, fresh: str) -> Told[Hint]:
        """What a webhook that was verified tells of. What concerns no stream is left out; `Refusal` if all is unreadable.

        An event without an id or a time, whose repetition says something new, gets `fresh` into its key: a text of this
        webhook alone.
        """
        ...

    @property
    def streams(self) -> frozenset[str]:
        """The streams that webhooks tell of: a change that none told of was missed."""
        ...

    @property
    def believes_deletes(self) -> Mapping[str, bool]:
        """By stream: a `delete` is evidence as it is (True), or only after a re-read finds nothing."""
        ...
