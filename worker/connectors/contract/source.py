"""A system, and one connection to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from worker.connectors.contract.auth import Auth
from worker.connectors.contract.discovery import Discovery
from worker.connectors.contract.exchange import Response
from worker.connectors.contract.stream import Stream
from worker.connectors.contract.webhooks import Webhooks
from worker.errors import HeadraceError
from worker.limits.policy import Limits

Transport = Literal["http", "sql", "tap"]
"""What carries requests to a system: see `worker/http/carrier.py`."""


class Source(Protocol):
    """A connector bound to one connection's settings. Cheap to make, safe to share between threads."""

    @property
    def transport(self) -> Transport:
        """By which way its requests go."""
        ...

    @property
    def base_url(self) -> str:
        """Where it is; by HTTP, the URL that relative ones are appended to."""
        ...

    @property
    def auth(self) -> Auth: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def webhooks(self) -> Webhooks | None:
        """How its webhooks are taken; None: it sends none that we know of."""
        ...

    @property
    def stream_names(self) -> Sequence[str]:
        """The streams of this connection: its system's, and those that its settings describe."""
        ...

    def stream(self, name: str) -> Stream:
        """The stream of that name, or `NotFound` with the nearest valid name."""
        ...

    def discover(self) -> Discovery | None:
        """Ask the system what could be synced; None: it has no way to say."""
        ...

    def failure(self, response: Response) -> HeadraceError | None:
        """What a system says by this answer, if it says no: by status, or by an error in the body of a 200.

        The system's own words are kept in the message. None: the answer can be read.
        """
        ...


class Connector(Protocol):
    """One system: what it needs, which streams it has, and how to bind it to a connection."""

    @property
    def system(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def stream_names(self) -> Sequence[str]:
        """The streams that every connection has. One may have more, or others: see `Source.stream_names`."""
        ...

    @property
    def secret_names(self) -> Mapping[str, bool]:
        """The secrets that every connection must reference (True) or may reference (False)."""
        ...

    def secrets_of(self, settings: Mapping[str, Any]) -> Mapping[str, bool]:
        """The same of a connection with these settings, which may describe more. They have been checked."""
        ...

    @property
    def limits(self) -> Limits:
        """What any account may do, whatever its settings; none where settings may say otherwise."""
        ...

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise `InvalidInput` for the first setting that is unknown, missing or wrong, naming it in `place`."""
        ...

    def bind(self, settings: Mapping[str, Any]) -> Source: ...
