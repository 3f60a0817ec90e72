"""What does this process know about an account by itself, and what may it do while Valkey is away?

It remembers the last pace and hold that Valkey told it, and hands them back with every question: a Valkey that lost its
data is told again by whoever sent last. While Valkey can't be asked, it grants a quarter of the rate, one request at a
time, and starts when a burst just before the outage would be paid back: so up to four such processes keep the limit
(of four or more in a window), also in windows that reach across the outage's beginning.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

from worker.limits.policy import SECOND, Answer, Limits, Verdict, payback, rate_of, slowed, step

MOST_ACCOUNTS = 10_000


@dataclass(slots=True)
class Known:
    """The state of one account as this process last saw it; times are microseconds on Valkey's clock."""

    tat: int = 0
    hold: int = 0
    reason: str = ""
    slow_tat: int = 0
    busy: bool = False

    def over(self, now: int) -> bool:
        """Nothing in it matters any more."""
        return not self.busy and max(self.tat, self.hold, self.slow_tat) <= now


class LocalBudget:
    """One process's memory and its slow budget. Shared by threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._accounts: dict[str, Known] = {}

    def known(self, account: str) -> Known:
        """What is known, to read only; all zeros for an account never seen."""
        with self._lock:
            found = self._accounts.get(account)
            return Known() if found is None else replace(found)

    def learn(self, account: str, answer: Answer) -> None:
        """Remember what Valkey said. Its pace counts, even where it is less than we thought; a hold never shrinks."""
        with self._entry(account, answer.now) as entry:
            entry.tat = answer.tat
            if answer.hold > entry.hold:
                entry.hold, entry.reason = answer.hold, answer.reason

    def hold(self, account: str, until: int, reason: str, now: int) -> Known:
        """Hold the account in this process; the longest hold wins."""
        with self._entry(account, now) as entry:
            if until > entry.hold:
                entry.hold, entry.reason = until, reason
            return replace(entry)

    def take(self, account: str, limits: Limits, *, cost: int, max_wait: int, now: int, since: int) -> Answer:
        """Grant at the slow pace. `since` is when Valkey was last known to answer."""
        rate, slow = rate_of(limits), slowed(limits)
        with self._entry(account, now) as entry:
            at, tat, slow_tat, granted = max(now, entry.hold), entry.tat, entry.slow_tat, True
            if rate is not None and slow is not None:
                pause = max(slow.interval, min(payback(limits), int(limits.per * SECOND)))
                start = max(entry.slow_tat, entry.tat, since + pause)
                outcome = step(start, now, slow, cost=cost, max_wait=max_wait, hold=entry.hold)
                at, granted, slow_tat = outcome.at, outcome.granted, outcome.tat
                tat = max(tat, at) + cost * rate.interval
            if not granted or at - now > max_wait:
                verdict = Verdict.HELD if entry.hold >= at else Verdict.TOO_EARLY
                return Answer(verdict, at, now, entry.tat, entry.hold, reason=entry.reason)
            if entry.busy:
                return Answer(Verdict.NO_SLOT, at, now, entry.tat, entry.hold)
            entry.tat, entry.slow_tat, entry.busy = tat, slow_tat, True
            return Answer(Verdict.GRANTED, at, now, tat, entry.hold, leased=True)

    def release(self, account: str) -> None:
        """The one request of this account that was under way is over."""
        with self._lock:
            if (entry := self._accounts.get(account)) is not None:
                entry.busy = False

    @contextmanager
    def _entry(self, account: str, now: int) -> Iterator[Known]:
        with self._lock:
            if account not in self._accounts and len(self._accounts) >= MOST_ACCOUNTS:
                self._forget_what_is_over(now)
            yield self._accounts.setdefault(account, Known())

    def _forget_what_is_over(self, now: int) -> None:
        for account in [name for name, entry in self._accounts.items() if entry.over(now)]:
            del self._accounts[account]
