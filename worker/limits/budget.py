"""How does a request get leave to go, and everybody else learn that a system said stop? The door of `limits`.

    with budgets.permit(account, limits) as permit: send()      # sleeps at most `short_wait`
    budgets.hold(account, seconds, "429 from ...")              # on all workers at once

Promises: a refusal (`RateLimited`) has consumed nothing and names when to come again, a place in a line; a grant not used
within 250 ms of its time is asked for again; a slot of a killed worker comes back when its lease ends; without Valkey it is
slow, never open. After a hold one request at a time tries the system, and with each that leaves its permit without an
exception one more. Does not promise that a request ends within its lease: the caller bounds it by its own time-out.
"""

import random
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from threading import Event
from time import monotonic
from types import TracebackType
from typing import NamedTuple

from worker.errors import Draining, RateLimited
from worker.limits.asking import Asker, Grant
from worker.limits.pace import payable
from worker.limits.policy import SECOND, Answer, Call, Limits, Verdict, held_for, reach
from worker.limits.quotas.quota import Quotas
from worker.limits.valkey.question import Asked, Patience
from worker.limits.valkey.shared import LONGEST_REASON, UNREACHABLE, Row
from worker.limits.words import AccountState, moment, refusal_words, state_of

__all__ = ["AccountState", "Budgets", "Permit"]

STALE = 0.25
"""A grant is for a moment; used much later, it would meet the next ones at the system."""
MOST_LATE = 8
"""So many grants in a row that came too late, and the run is given back: each of them has spent its rate."""
LONG_SLEEP = 0.1
"""Who slept so long for a grant asks whether the account was held meanwhile."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
BUSY_FOR = SECOND
LONGEST_GROWN_HOLD = 900.0
NO_CALL = Call()
FINAL = frozenset({Verdict.TOO_EARLY, Verdict.HELD})


class Permit(NamedTuple):
    """Leave to send one request. `waited` is what it took in seconds."""

    waited: float
    micros: int
    tried: bool = False
    """The account was held: this request tries whether the system answers again."""

    @property
    def at(self) -> datetime:
        """Its time on Valkey's clock."""
        return moment(self.micros)


class Budgets:
    """The budgets of all accounts. One per process, shared by its threads; opens no connection before it is used."""

    def __init__(
        self,
        redis_url: str,
        *,
        short_wait: float,
        slot_lease: float = 120.0,
        cool_down: float = 5.0,
        quotas: Quotas | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        patience = Patience(
            short_wait=int(reach(short_wait, 0) * SECOND),
            lease=int(slot_lease * SECOND),
            stored=quotas is not None,
        )
        self._asker = Asker(redis_url, patience=patience, cool_down=cool_down, quotas=quotas)
        self._short_wait = short_wait
        self._dice = dice
        self._closing = Event()
        self._waiting: dict[str, deque[Event]] = {}
        self._slowed: dict[str, tuple[int, float]] = {}

    def permit(
        self,
        account: str,
        limits: Limits,
        *,
        cost: int = 1,
        lane: int = 3,
        call: Call = NO_CALL,
    ) -> AbstractContextManager[Permit]:
        """Wait for leave to send; hold it while the request is under way.

        `call` says for whom and what, for rules that count only some requests. Raises RateLimited where it would take
        longer than `short_wait`, and Draining once `close` was called. An exception that leaves the context says that the
        system didn't answer well.
        """
        return _Leave(self, Asked(account, limits, lane, call.connection, limits.choose(call)), cost)

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        """Nobody of this account sends until then, on any worker; the longest hold wins. `reason` holds no secret.

        `grows`: the length doubles with each further hold before a request succeeded, up to a quarter of an hour.
        """
        outage = self._asker.outage
        now = outage.now()
        until, reason = now + held_for(seconds), reason[:LONGEST_REASON]
        if outage.may_ask():
            try:
                longest = LONGEST_GROWN_HOLD if grows else 0.0
                until, reason, now = self._asker.shared.hold(account, seconds, reason, longest=longest)
            except UNREACHABLE as exc:
                outage.begin(exc)
            else:
                self._asker.answered(now)
        return moment(self._asker.local.hold(account, until, reason, now))

    def slow_down(self, account: str, remaining: int, seconds: float) -> None:
        """The system says that `remaining` requests may still leave within `seconds`: all workers spread them over that.

        None left is a hold without a trial. Cheap after every answer: Valkey hears only of what changes something.
        """
        length = held_for(seconds)
        interval = 0 if remaining <= 0 else max(1, length // remaining)
        known = self._slowed.get(account)
        if known and monotonic() < known[1] and (known[0] == 0 or 0 < interval <= known[0] * 1.1):
            return
        if len(self._slowed) > 10_000:
            self._slowed.clear()
        self._slowed[account] = (interval, monotonic() + seconds)
        if self._asker.outage.may_ask():
            try:
                now = self._asker.shared.slow_down(account, interval, length, "It says that nothing is left.")
            except UNREACHABLE as exc:
                self._asker.outage.begin(exc)
            else:
                self._asker.answered(now)

    def estimate(self, account: str, limits: Limits, requests: int, *, call: Call = NO_CALL) -> float:
        """Seconds until that many requests may have left, those who wait already counted; inf: Valkey can't say."""
        asked = Asked(account, limits, connection=call.connection, chosen=limits.choose(call))
        try:
            rows = self._asker.shared.rows(asked)
        except UNREACHABLE as exc:
            self._asker.outage.begin(exc)
            return float("inf")
        return max(self._asker.expected_wait(scope, row, requests) for scope, row in rows) / SECOND

    def state(self, account: str, limits: Limits | None = None) -> AccountState:
        """What is known of the account now. Changes nothing."""
        outage = self._asker.outage
        if outage.may_ask():
            try:
                rows = [row for _, row in self._asker.shared.rows(Asked(account, limits or Limits()))]
            except UNREACHABLE as exc:
                outage.begin(exc)
            else:
                self._asker.answered(rows[0].now)
                return state_of(rows, shared=True)
        known, now = self._asker.local.known(account), outage.now()
        hold, reason, busy = (known.hold, known.reason, known.busy) if known else (0, "", False)
        return state_of([Row(now, 0, (), hold, reason, probing=False, slots=int(busy))], shared=False)

    def close(self) -> None:
        """Wake all who wait (they raise Draining) and grant nothing more. Permits that are out stay good."""
        self._closing.set()
        for events in [*self._waiting.values()]:
            for event in [*events]:
                event.set()
        self._asker.shared.close()

    def wait_for(self, asked: Asked, cost: int) -> Grant:
        """Leave to send, as `permit` promises it."""
        cost = 1 if cost <= 1 else payable(cost, asked.rules, asked.lane)
        late = 0
        deadline, pause, first = monotonic() + reach(self._short_wait, asked.lane), FIRST_PAUSE, True
        max_wait = int(reach(self._short_wait, asked.lane) * SECOND)
        while True:
            if not first:
                max_wait = max(0, int((deadline - monotonic()) * SECOND))
            grant = self._asker.ask(asked, cost, max_wait)
            answer = grant.answer
            if answer.verdict is Verdict.GRANTED:
                if self._arrives_in_time(grant):
                    return grant
                late += 1
            if self._closing.is_set():
                raise Draining("This worker is shutting down.")
            left = deadline - monotonic()
            if (
                answer.verdict in FINAL
                or (left <= 0 and answer.verdict is not Verdict.GRANTED)
                or late > MOST_LATE
            ):
                raise self._refusal(asked.account, answer)
            if answer.verdict is Verdict.AGAIN:
                self._closing.wait(max(0.0, (answer.place - answer.now) / SECOND))
            elif answer.verdict is not Verdict.GRANTED:
                self._wait_for_a_slot(asked.account, min(pause * (0.5 + self._dice()), left))
                pause = min(pause * 1.6, LONGEST_PAUSE)
            first = False

    def give_back(self, grant: Grant, *, succeeded: bool) -> None:
        """A request is over: free its slot, and let one of ours who waits for it ask at once."""
        self._asker.give_back(grant, succeeded=succeeded)
        if self._waiting:
            self._wake_one(grant.asked.account)

    def _arrives_in_time(self, grant: Grant) -> bool:
        """Sleep until the grant's time. Late or not wanted any more, it is given back (its rate is spent)."""
        wait = (grant.answer.at - grant.answer.now) / SECOND
        if wait > 0:
            due = monotonic() + wait
            try:
                while (left := due - monotonic()) > 0 and not self._closing.is_set():
                    self._closing.wait(left)
            except BaseException:
                self.give_back(grant, succeeded=False)
                raise
        # The clock was read after `began`, so the grant's time is no earlier than this.
        in_time = monotonic() - (grant.began + wait) <= STALE and not self._closing.is_set()
        if in_time and not (wait > LONG_SLEEP and self._asker.is_held(grant)):
            return True
        self.give_back(grant, succeeded=False)
        return False

    def _wait_for_a_slot(self, account: str, seconds: float) -> None:
        """Until one of ours is freed, or for a while: others' are seen only by asking."""
        freed = Event()
        self._waiting.setdefault(account, deque()).append(freed)
        if not self._closing.is_set():
            freed.wait(seconds)
        events = self._waiting.get(account)
        if events is not None:
            with suppress(ValueError):  # it was woken
                events.remove(freed)
            if not events:
                self._waiting.pop(account, None)

    def _wake_one(self, account: str) -> None:
        try:
            self._waiting[account].popleft().set()
        except (KeyError, IndexError):
            return

    def _refusal(self, account: str, answer: Answer) -> RateLimited:
        at = max(answer.place, answer.at)
        if answer.verdict not in FINAL:
            at = max(at, answer.now + BUSY_FOR)
        # Those who were refused by different processes without Valkey have no line to stand in.
        at += int(self._dice() * SECOND / 2)
        return RateLimited("budget_exhausted", refusal_words(account, answer), resume_at=moment(at))


class _Leave:
    """One permit, from the question to the request's end."""

    __slots__ = ("_asked", "_budgets", "_cost", "_grant")

    def __init__(self, budgets: Budgets, asked: Asked, cost: int) -> None:
        self._budgets = budgets
        self._asked = asked
        self._cost = cost

    def __enter__(self) -> Permit:
        began = monotonic()
        self._grant = grant = self._budgets.wait_for(self._asked, self._cost)
        return Permit(monotonic() - began, grant.answer.at, bool(grant.answer.trials))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budgets.give_back(self._grant, succeeded=kind is None)
