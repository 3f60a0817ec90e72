"""How often may a connection try to log in with what a system refuses?

Systems lock a user after a few wrong passwords, and a connection has many streams on many workers. So after one refused
log-in nobody of this connection tries again for a while, and then one at a time. Whoever sees that the connection's
secrets have changed tries at once. Requests with a token that works go on meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from worker.connectors.contract import Limits
from worker.errors import NeedsOperator
from worker.http.grant import Permits
from worker.http.proof import Held

REFUSED_FOR = 300.0
"""Seconds. Systems forget wrong passwords after minutes; five attempts in that time is where the strictest lock."""

_ANY_PACE = Limits()


class Holds(Permits, Protocol):
    """The part of a budget that makes all workers wait."""

    def hold(self, account: str, seconds: float, reason: str) -> object: ...


class Logins:
    """The log-ins of all connections, by way of one hold each that all workers see."""

    def __init__(self, budgets: Holds) -> None:
        self._budgets = budgets

    @contextmanager
    def attempt(self, connection_id: int, held: Held) -> Iterator[None]:
        """One log-in request; raises RateLimited while an earlier one has been refused for too short a time."""
        if held.changed:
            held.changed = False
            yield
            return
        with self._budgets.permit(_account(connection_id), _ANY_PACE):
            yield

    def refused(self, connection_id: int, refusal: NeedsOperator) -> None:
        self._budgets.hold(_account(connection_id), REFUSED_FOR, refusal.message)


def _account(connection_id: int) -> str:
    return f"login:{connection_id}"
