"""How requests prove who they are, and what a log-in may spend."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from worker.connectors.contract.exchange import Request, Response

NO_CSRF_TOKEN = "no_csrf_token"  # noqa: S105 - a code
"""The code of the `NeedsOperator` where a system lets us in, but gives out no token to change anything with."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A log-in that spends a secret which the system may replace: the refresh token of OAuth 2.0.

    Whoever sends sees to it that one process at a time spends it, as its store has it then, and that what came instead is
    in the store before anything else happens.
    """

    secret: str
    """Its name among the connection's secrets."""
    request: "Callable[[str], Request | Signing]"
    """What is sent with the secret's value; a proof of that moment may go with it."""
    renewed: Callable[[Response], str | None]
    """The value that an answer has instead of it; None: it stays as it is."""
    replaces: bool = True
    """The system gives out another each time, so the store must be one that can be written."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a proof may hold that only whoever sends knows."""

    now: datetime
    nonce: str
    """32 hexadecimal digits, never the same twice."""
    url_of: Callable[[Request], str]
    """The whole URL of a request as it is sent, to the byte."""


@dataclass(frozen=True, slots=True)
class Signing:
    """A request that is made when it is about to leave: its proof holds the time, or the very bytes that are sent."""

    make: Callable[[Moment], Request]
    proved: Request | None = None
    """What it carries besides, where that lasts: the redactor is told of it."""


Step = Request | Renewal | Signing
"""What the flow of an `Auth` asks for: something is sent, and its answer given back."""


class Auth(Protocol):
    """How requests of a connection prove who they are.

    A generator in the manner of httpx: it yields requests and is sent the answer to each. The last request that it
    yields is the one asked for, with its proof; those before it log in, refresh, fetch a token. `held` lives as long as
    the process and belongs to this connection: tokens are kept there. `secrets` are opened values by the names that
    the manifest gives them; they and everything in `held` are redacted from logs. Nothing is held longer than
    `held["expires_in"]` says, in seconds, or beyond `held["expires_at"]`, in seconds since 1970.
    """

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]: ...


@runtime_checkable
class TokenAuth(Auth, Protocol):
    """An auth whose tokens come from a server that may be elsewhere, and whose secrets may change by being used."""

    @property
    def token_url(self) -> str:
        """Where tokens are asked for: the one address outside of the base URL that a log-in may go to."""
        ...

    @property
    def replaced(self) -> frozenset[str]:
        """Secrets that are replaced when they are used: tokens that were got with the one before are good still."""
        ...


@runtime_checkable
class SessionAuth(Auth, Protocol):
    """An auth that holds a session at the system, which may have room for few."""

    def log_out(self, secrets: Mapping[str, str], held: Mapping[str, str]) -> Request | None:
        """What gives the session back that is held; None: it is left to end by itself."""
        ...
