"""How does a request reach a system that isn't asked by HTTP? A carrier takes it there and brings the answer.

A source says by its `transport` which carrier its requests go by; each is a room beside this one (`worker/sql`), and does
nothing but the exchange. Budget, grant, breaker, secrets, steps, redaction and the bounds of size and time are the
sender's, as for HTTP: see `carrying`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from worker.connectors.contract import Request, Response, Source
from worker.http.wire.deadline import Deadline
from worker.http.wire.exchange import Moments
from worker.secrets import Secret


def _opens_nothing(reference: str, refused: bool) -> str:
    raise LookupError(reference, refused)


@dataclass(frozen=True, slots=True)
class Errand:
    """One request, and what its carrier needs to know of whom it is for."""

    connection_id: int
    source: Source
    request: Request
    secrets: Mapping[str, Secret] = field(repr=False)
    """Their values by the names that the manifest gives them; revealed where they are used, and nowhere else."""
    deadline: Deadline
    """When the answer must be there; what is under way then is given up, at the system too."""
    most: int
    """Bytes that the body may have: beyond them, `worker.http.wire.message.TooLarge`."""
    moments: Moments
    """`before_sending` right before the request leaves, and `comes` as the answer does. What they raise ends the exchange."""
    log_in: Callable[[], AbstractContextManager[None]]
    """Around whatever proves who we are: one log-in of a connection at a time, and none for a while after a refusal."""
    network: Mapping[str, str]
    """The connection's own, as it stands on its row: where the system may be, among others."""
    opens: Callable[[str, bool], str] = _opens_nothing
    """Opens a reference of it; True: what it led to before was refused."""
    run: str = ""
    """Whose pages these are: what is kept from one request to the next is this run's (`Holding`)."""


class Carrier(Protocol):
    """A way to systems. One per process, shared by its threads; opens nothing before the first request."""

    def place(self, source: Source) -> str:
        """What errors call the system by: its host, without a secret. Raises nothing."""
        ...

    def exchange(self, errand: Errand) -> Response:
        """The answer: its status is 200, unless it is one of `Request.absent`. Raises our errors:

        Transient `unreachable` (no connection), `timeout`, `broken_answer`, `system_error` are counted by the breaker;
        `throttled` makes the account wait; `worker.http.proof.LoginRefused` makes the connection's log-ins wait; any
        other NeedsOperator is the answer of a system that is there.
        """
        ...

    def close(self) -> None:
        """Let go of what is kept for the next request. One that comes all the same opens it anew."""
        ...


@runtime_checkable
class Holding(Carrier, Protocol):
    """A carrier that keeps something for a run between two of its requests."""

    def let_go(self, run: str) -> None:
        """The run asks for no more, or has begun anew: end what is kept for it. Harmless where nothing is."""
        ...
