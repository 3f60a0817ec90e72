"""What does this process know about an account by itself, and what may it do while Valkey is away?

It remembers the holds that it heard of, and tells them with every question: a Valkey that lost its data is told again by
whoever sends next. While Valkey can't be asked, it grants a quarter of the rate, one request at a time, and starts when
all that may have been granted just before the outage would be paid back: so up to four such processes keep the limit
(of four or more in a window), also in windows that reach across the outage's beginning.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

from worker.limits.pace import Track, earliest, payback, slowed, taken
from worker.limits.policy import SECOND, Answer, Rule, Verdict

MOST_ACCOUNTS = 10_000


@dataclass(slots=True)
class Known:
    """The state of one account as this process last saw it; times are microseconds on Valkey's clock."""

    hold: int = 0
    reason: str = ""
    slow: Track = Track()  # noqa: RUF009 - it is frozen
    busy: bool = False

    def over(self, now: int) -> bool:
        """Nothing in it matters any more."""
        return not self.busy and max(self.hold, self.slow.tat) <= now


class LocalBudget:
    """One process's memory and its slow budget. Shared by threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._accounts: dict[str, Known] = {}

    def known(self, account: str) -> Known | None:
        """What is known, to read only; None: nothing ever was."""
        found = self._accounts.get(account)
        if found is None:
            return None
        with self._lock:
            return replace(found)

    def hold(self, account: str, until: int, reason: str, now: int) -> int:
        """Hold the account in this process; the longest hold wins, and its end is returned."""
        with self._entry(account, now) as entry:
            if until > entry.hold:
                entry.hold, entry.reason = until, reason
            return entry.hold

    def take(
        self,
        account: str,
        rules: Sequence[Rule],
        *,
        cost: int,
        max_wait: int,
        now: int,
        since: int,
        counted: Callable[[Rule], bool] = lambda _: False,
    ) -> Answer:
        """Grant at the slow pace. `since` is up to when requests may have been granted that nobody here knows of.

        Rules that are `counted` elsewhere, where it is known what was granted, needn't wait for that.
        """
        slow = slowed(rules)
        with self._entry(account, now) as entry:
            at, track = max(now, entry.hold), entry.slow
            if slow is not None:
                unsure = [rule for rule in rules if not counted(rule)]
                start = since + max(slow.interval, min(payback(unsure), _longest_window(unsure)))
                track = replace(track, tat=max(track.tat, start))
                at = max(at, earliest(track, slow, now, cost))
                track = taken(track, slow, now, at, cost)
            if at - now > max_wait:
                verdict = Verdict.HELD if entry.hold >= at else Verdict.TOO_EARLY
                return Answer(verdict, at, now, at, reason=entry.reason)
            if entry.busy:
                return Answer(Verdict.NO_SLOT, at, now, at)
            entry.slow, entry.busy = replace(track, ends={}), True
            return Answer(Verdict.GRANTED, at, now, slots=1)

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


def _longest_window(rules: Sequence[Rule]) -> int:
    """After so long all that was granted before is out of every window."""
    return int(max((rule.per for rule in rules if rule.requests is not None), default=0.0) * SECOND) + 1
