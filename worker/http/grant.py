"""May this request leave now, by its account's budget, and is that still true when it does?

A grant says when a request may reach the system. One that is used late could meet later ones there and break the limit,
so a grant older than 250 ms (or 2 % of the limit's window, if that is more) is given up for a new one at the last
moment. If that is refused the run waits as for any refusal; but not twice in a row, or a system that is slow to connect
and strict about its pace would never be reached.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Protocol, Self

from worker.connectors.contract import Limits
from worker.errors import RateLimited
from worker.limits.policy import Call
from worker.telemetry.steps import Steps

FRESH = 0.25
FRESH_SHARE = 0.02
NO_CALL = Call()


class Permit(Protocol):
    """Leave to send one request."""

    @property
    def waited(self) -> float: ...
    @property
    def tried(self) -> bool:
        """It was let through to try the system after a hold."""
        ...


class Permits(Protocol):
    """The part of a budget that grants."""

    def permit(
        self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3, call: Call = NO_CALL
    ) -> AbstractContextManager[Permit]: ...


class _Unsent(Exception):
    """A grant was given up, and no request was sent by it."""


class _Failed(Exception):
    """The answer said that the system can't answer."""


class Refusals:
    """The accounts whose last request was refused when its grant was renewed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._accounts: set[str] = set()

    def add(self, account: str) -> None:
        with self._lock:
            self._accounts.add(account)

    def take(self, account: str) -> bool:
        """Whether it was there; it is no longer."""
        with self._lock:
            known = account in self._accounts
            self._accounts.discard(account)
            return known


class Grant:
    """A permit held while one request is under way."""

    def __init__(
        self,
        budget: Permits,
        account: str,
        limits: Limits,
        *,
        cost: int,
        lane: int,
        steps: Steps,
        refusals: Refusals,
        call: Call = NO_CALL,
    ) -> None:
        self._budget = budget
        self._account = account
        self._limits = limits
        self._cost = cost
        self._lane = lane
        self._steps = steps
        self._refusals = refusals
        self._call = call
        self._permit: AbstractContextManager[Permit] | None = None
        self._at = 0.0
        self.tried = False
        """The account was held, and this request tries whether the system answers again."""
        self._failed = False

    def __enter__(self) -> Self:
        self._ask()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        permit, self._permit = self._permit, None
        if permit is None:
            return
        if kind is None and self._failed:
            kind, error = _Failed, _Failed()
        permit.__exit__(kind, error, trace)

    def failed(self) -> None:
        """The system answered, but not as one that is well: if this was a trial, no more may follow it yet."""
        self._failed = True

    def renew_if_old(self) -> None:
        """Called right before the request leaves."""
        late = monotonic() - self._at
        if late <= FRESH or not any(late > FRESH_SHARE * per for per in self._windows()):
            return
        if self._refusals.take(self._account):
            return
        # By an exception, or the budget would take it for a request that succeeded, and end its probing.
        self.__exit__(_Unsent, _Unsent(), None)
        try:
            self._ask()
        except RateLimited:
            self._refusals.add(self._account)
            raise

    def _windows(self) -> Iterator[float]:
        """The lengths of the windows that count requests."""
        return (rule.per for rule in self._limits.all_rules() if rule.requests is not None)

    def _ask(self) -> None:
        with self._steps.step("budget"):
            permit = self._budget.permit(
                self._account, self._limits, cost=self._cost, lane=self._lane, call=self._call
            )
            self.tried = permit.__enter__().tried
        self._permit = permit
        self._at = monotonic()
