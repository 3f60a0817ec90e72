"""Is a system down, so that nobody need try it for a while?

After several failures in a row (no connection, no answer, a 5xx) over all workers, the account is held: runs that meet
the hold are handed back and spend no attempt. When it ends one request tries; if that fails the hold comes back, twice as
long, up to a quarter of an hour; if it goes well the circuit is closed. Emits circuit_opened and circuit_closed.

Promises: one stream or endpoint that fails alone opens nothing, whatever it fails with, nor does a refusal (4xx): they
are answers of a system that is there. Only where no connection comes about at all, one stream is witness enough. A
success that nothing failed before costs no question to anybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

import structlog

from worker.limits.system.failures import Tally

FAILURES = 5
"""In a row, over all workers."""
WITNESSES = 2
"""Different streams that must have failed, where a connection came about."""
REMEMBERED = 300.0
"""Seconds after which what failed no longer counts as in a row with what fails now."""
FIRST_HOLD = 15.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that the system gave no answer to, or the answer that it can't."""

    who: str
    """The stream, or whatever fails for itself."""
    words: str
    """What happened. Holds no secret."""
    everywhere: bool = False
    """It would have happened to every request: no connection came about."""


class Counts(Protocol):
    """Where failures are counted."""

    def add(self, account: str, who: str, *, everywhere: bool, within: float) -> Tally | None: ...
    def opened(self, account: str, *, since: int, until: int, within: float) -> bool: ...
    def cleared(self, account: str) -> int | None: ...


class Holds(Protocol):
    """Where accounts are held."""

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime: ...


def is_down(tally: Tally) -> bool:
    """Whether what was counted says that the system is down. Pure."""
    if tally.open_until:
        return True  # it was, and what tried it failed again
    if tally.everywhere >= FAILURES:
        return True
    return tally.failures >= FAILURES and tally.who >= WITNESSES


class Breaker:
    """The circuits of all accounts, as one process sees them. Shared by threads."""

    def __init__(
        self, counts: Counts | None, holds: Holds, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._counts = counts
        self._holds = holds
        self._now = now
        self._lock = Lock()
        self._failing: set[str] = set()

    def failed(self, account: str, failure: Failure) -> datetime | None:
        """A request failed. Until when the circuit is open, or None: it isn't."""
        if self._counts is None:
            return None
        with self._lock:
            self._failing.add(account)
        tally = self._counts.add(account, failure.who, everywhere=failure.everywhere, within=REMEMBERED)
        if tally is None or not is_down(tally):
            return None
        if tally.open_until > tally.now:  # under way when it was opened
            return _moment(tally.open_until)
        until = self._holds.hold(account, FIRST_HOLD, f"Circuit open: {failure.words}", grows=True)
        first = self._counts.opened(
            account, since=tally.since or tally.now, until=_micros(until), within=REMEMBERED
        )
        if first:
            seconds = round((until - self._now()) / timedelta(seconds=1), 1)
            log.warning(
                "circuit_opened",
                account=account,
                failures=tally.failures,
                streams=tally.who,
                seconds=seconds,
                reason=failure.words,
            )
        return until

    def succeeded(self, account: str, *, tried: bool = False) -> None:
        """A request went well; `tried`: it was let through to try the system after a hold."""
        if self._counts is None or not (tried or account in self._failing):
            return
        with self._lock:
            self._failing.discard(account)
        since = self._counts.cleared(account)
        if since is not None:
            seconds = (self._now() - _moment(since)) / timedelta(seconds=1)
            log.info("circuit_closed", account=account, seconds=round(max(0.0, seconds), 1))


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
