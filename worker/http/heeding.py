"""What does an account learn from an answer, or from none? So that all workers heed it at once.

    429, or an error with Retry-After     the account is held until then, and the run handed back
    little left, by its headers           what is left is spread over the time; nothing left is waited for
    no answer, or 5xx                     counted; a system that is down is left alone for a while (`breaker`)
    throttled, in words of its own        as a 429: its manifest says how to tell

Being told to wait is no failure of a run: it spends no attempt.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

import httpx

from worker.connectors.contract import Response, Source
from worker.errors import HeadraceError, NotThere, RateLimited, Throttled, Transient
from worker.limits.headers import LimitHeaders
from worker.limits.system.breaker import Breaker, Failure
from worker.limits.system.learned import course, learned, wait_after_refusal
from worker.telemetry.redaction import redactor

WAIT_AFTER_429 = 30.0
"""Where a system doesn't say how long; longer each time."""


class Account(Protocol):
    """The part of a budget that changes it."""

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime: ...
    def slow_down(self, account: str, remaining: int, seconds: float) -> None: ...


class Judge:
    """What a source reads in an answer, asked once for each. Without a source, nothing.

    A status in `absent` is an answer: what was asked for isn't there, unless a rule of the manifest says that it means
    something else, such as a database that isn't there at all.
    """

    def __init__(self, source: Source | None, absent: Collection[int] = ()) -> None:
        self._source = source
        self._absent = absent
        self._judged: tuple[Response, HeadraceError | None] | None = None

    @property
    def absence(self) -> int | None:
        """The status by which the one who asks takes it that something isn't there; None: nobody asked for one thing."""
        told = (status for status in (404, 410, *self._absent) if status >= 400)
        return next((status for status in told if status in self._absent), None)

    def failure(self, response: Response) -> HeadraceError | None:
        if self._source is None:
            return None
        if self._judged is None or self._judged[0] is not response:
            self._judged = response, self._source.failure(response)
        failure = self._judged[1]
        if response.status in self._absent and (
            failure is None or not failure.by_rule or isinstance(failure, NotThere)
        ):
            return None
        return failure


def asks_to_wait(failure: HeadraceError) -> bool:
    """Whether a system says by it that it is asked too often."""
    return isinstance(failure, RateLimited) or (
        isinstance(failure, Transient) and failure.code == "throttled"
    )


class Heeding:
    """Shared by the threads of a process."""

    def __init__(self, budgets: Account, breaker: Breaker, clock: Callable[[], datetime]) -> None:
        self._budgets = budgets
        self._breaker = breaker
        self._clock = clock

    def answer(
        self,
        account: str,
        response: Response,
        *,
        who: str,
        said: Callable[[], str],
        tried: bool,
        meant: bool = False,
        named: LimitHeaders | None = None,
    ) -> None:
        """Heed it; raises RateLimited where it is no answer but a word to wait. `said` words it, without a secret.

        `named`: by which headers of its own it says what is left. `meant`: it says something of what was asked, whatever its status: a system that refuses by 500 is not down.
        """
        status = response.status
        found = learned(response.headers, self._clock(), named) if response.headers else None
        if status < 400:
            if found is not None and (way := course(found)) is not None:
                self._budgets.slow_down(account, way.remaining, way.seconds)
            self._breaker.succeeded(account, tried=tried)
            return
        if status == 429 or (found is not None and found.wait is not None):
            raise self._told_to_wait(
                account, said(), wait_after_refusal(found), "unavailable" if status >= 500 else "rate_limited"
            )
        if status < 500 or meant:
            self._breaker.succeeded(account, tried=tried)
            return
        self._failed(account, Failure(who, said()))

    def no_answer(self, account: str, error: httpx.HTTPError, *, who: str, place: str) -> None:
        """A request brought none; raises RateLimited where the system is taken to be down."""
        if isinstance(error, httpx.PoolTimeout | httpx.LocalProtocolError):
            return  # that is about us
        everywhere = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        words = f"{place} {'could not be reached' if everywhere else 'gave no answer'}"
        self.outage(account, words, who=who, everywhere=everywhere)

    def outage(self, account: str, words: str, *, who: str, everywhere: bool) -> None:
        """The system is away, in words without a secret; raises RateLimited where it is taken to be down."""
        self._failed(account, Failure(who, words, everywhere=everywhere))

    def words(
        self, account: str, response: Response, failure: HeadraceError, named: LimitHeaders | None = None
    ) -> HeadraceError:
        """A system may say "wait" in words of its own, too: then nobody asks until then."""
        if isinstance(failure, RateLimited):
            seconds = (failure.resume_at - self._clock()) / timedelta(seconds=1)
            failure.resume_at = self._budgets.hold(
                account, max(1.0, seconds), redactor.redact(failure.message)
            )
        elif asks_to_wait(failure):
            wait = failure.seconds if isinstance(failure, Throttled) else None
            if wait is None:
                wait = wait_after_refusal(learned(response.headers, self._clock(), named))
            return self._told_to_wait(account, redactor.redact(failure.message), wait, "rate_limited")
        return failure

    def log_in(self, account: str, failure: Throttled) -> RateLimited:
        """The answer to a log-in says it: there is room for no more sessions."""
        return self._told_to_wait(account, redactor.redact(failure.message), failure.seconds, "rate_limited")

    def _told_to_wait(self, account: str, said: str, seconds: float | None, code: str) -> RateLimited:
        if seconds is None:
            resume_at = self._budgets.hold(account, WAIT_AFTER_429, said, grows=True)
        else:
            resume_at = self._budgets.hold(account, seconds, said)
        return RateLimited(code, f"{said}: it asks us to wait.", resume_at=resume_at)

    def _failed(self, account: str, failure: Failure) -> None:
        until = self._breaker.failed(account, failure)
        if until is not None:
            message = f"{failure.words}; it is tried again at {until:%H:%M:%S} UTC."
            raise RateLimited("circuit_open", message, resume_at=until)
