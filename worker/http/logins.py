"""How often may a connection try to log in with what a system refuses?

Systems lock a user after a few wrong passwords, and a connection has many streams on many workers. So after one refused
log-in nobody of this connection tries again for a while, and then one at a time. Whoever sees that the connection's
secrets have changed tries at once; who points it at others, changes its settings, or logs it in anew, leaves the hold
behind on all workers.
Requests with a token that works go on meanwhile.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Protocol

from worker.connectors.contract import Limits
from worker.errors import NeedsOperator
from worker.http.grant import Permits
from worker.http.held import Held
from worker.limits.words import LOGIN

REFUSED_FOR = 300.0
"""Seconds. Systems forget wrong passwords after minutes; five attempts in that time is where the strictest lock."""

_ANY_PACE = Limits()


class Holds(Permits, Protocol):
    """The part of a budget that makes all workers wait."""

    def hold(self, account: str, seconds: float, reason: str) -> object: ...


class Holder(Protocol):
    """Who logs in, and with what."""

    @property
    def connection_id(self) -> int: ...
    @property
    def logs_in_by(self) -> Mapping[str, str]: ...


class Logins:
    """The log-ins of all connections, by way of one hold each that all workers see."""

    def __init__(self, budgets: Holds) -> None:
        self._budgets = budgets

    @contextmanager
    def attempt(self, holder: Holder, held: Held) -> Iterator[None]:
        """One log-in request; raises RateLimited while an earlier one has been refused for too short a time."""
        if held.changed:
            held.changed = False
            yield
            return
        with self._budgets.permit(_account(holder), _ANY_PACE):
            yield

    def refused(self, holder: Holder, refusal: NeedsOperator) -> None:
        self._budgets.hold(_account(holder), REFUSED_FOR, refusal.message)


def _account(holder: Holder) -> str:
    """By the references: what is behind them shall stand nowhere, also not as a digest."""
    state = blake2b(digest_size=8)
    for text in (text for pair in sorted(holder.logs_in_by.items()) for text in pair):
        state.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
    return f"{LOGIN}{holder.connection_id}:{state.hexdigest()}"
