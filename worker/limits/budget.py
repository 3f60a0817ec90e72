"""How does a request get leave to go, and everybody else learn that a system said stop? The door of `limits`.

    with budgets.permit(account, limits) as permit: send()      # sleeps at most `short_wait`
    budgets.hold(account, seconds, "429 from ...")              # on all workers at once

Promises: a refusal (`RateLimited`) has consumed nothing and names when to come again; a grant not used within 250 ms of
its time is asked for again; a slot of a killed worker comes back when its lease ends; without Valkey it is slow, never
open. After a hold one request at a time tries the system, until one leaves its permit without an exception.
Does not promise that a request ends within its lease: the caller bounds it by its own time-out.

The door as it is being widened (the senders may build on these names):

    permit(account, limits, *, cost=1, lane=3, call=Call(...), gate=None)
        `call` says for whom and what (connection, stream, method, path), for rules of a manifest that count only some
        requests. `gate` names a second account, such as "system:maximo", that counts nothing and whose hold and trials
        apply too, in the same question: a circuit breaker shared by all accounts of a system.
    hold(account, seconds, reason, *, grows=False) -> datetime
        `grows`: the length doubles with each further hold before a request succeeded, up to a quarter of an hour.
    slow_down(account, remaining, seconds) -> None
        The system says that `remaining` requests may still leave within `seconds`: all workers spread them over that
        time; none left is a hold without a trial. Cheap to call after every answer: Valkey hears of it only where it
        is slower than what it knows.
    failed(account, *, within=60.0) -> int
        One more failure; how many all workers together counted in the `within` seconds since the first of them.
    estimate(account, limits, requests) -> float
        Seconds until that many requests may have left, those who wait already counted.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from threading import Event
from time import monotonic

from worker.errors import Draining, RateLimited
from worker.limits.local import Known, LocalBudget
from worker.limits.outage import Outage
from worker.limits.policy import SECOND, Answer, Limits, Verdict, held_for, payable, payback, reach, spread
from worker.limits.shared import LONGEST_REASON, UNREACHABLE, Row, SharedBudget

STALE = 0.25
"""A grant is for a moment; used much later, it would meet the next ones at the system."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
BUSY_FOR = 1.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send one request. `at` is its time on Valkey's clock, `waited` what it took in seconds."""

    waited: float
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountState:
    """A look at one account, for `doctor` and dashboards. None where there is nothing to say."""

    shared: bool
    """False: Valkey can't be asked, and this is what this process knows by itself."""
    paid_off_at: datetime | None
    """When all granted requests are paid off at the even pace, and the whole burst may leave again."""
    held_until: datetime | None
    reason: str | None
    probing: bool
    """A hold was set, and no request has succeeded since."""
    slots: int
    """Requests under way, of accounts that limit them."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    account: str
    limits: Limits
    cost: int
    deadline: float

    def wait_left(self) -> int:
        return max(0, int((self.deadline - monotonic()) * SECOND))


@dataclass(frozen=True, slots=True)
class _Grant:
    account: str
    answer: Answer
    asked: float
    """Our clock just before the question."""
    token: str | None = None
    """None: granted by this process alone."""


class Budgets:
    """The budgets of all accounts. One per process, shared by its threads; opens no connection before it is used."""

    def __init__(
        self,
        redis_url: str,
        *,
        short_wait: float,
        slot_lease: float = 120.0,
        cool_down: float = 5.0,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._shared = SharedBudget(redis_url, slot_lease=slot_lease)
        self._local = LocalBudget()
        self._outage = Outage(cool_down=cool_down)
        self._short_wait = short_wait
        self._dice = dice
        self._closing = Event()
        self._owed: deque[tuple[str, str]] = deque(maxlen=10_000)

    @contextmanager
    def permit(self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3) -> Iterator[Permit]:
        """Wait for leave to send; hold it while the request is under way.

        Raises RateLimited where that would take longer than `short_wait`, and Draining once `close` was called. An
        exception that leaves the context says that the system didn't answer well: after a hold, probing goes on.
        """
        began = monotonic()
        deadline = began + reach(self._short_wait, lane)
        grant = self._wait_for(_Wanted(account, limits, payable(cost, limits), deadline))
        succeeded = False
        try:
            yield Permit(waited=monotonic() - began, at=_moment(grant.answer.at))
            succeeded = True
        finally:
            self._give_back(grant, succeeded=succeeded)

    def hold(self, account: str, seconds: float, reason: str) -> datetime:
        """Nobody of this account sends until then, on any worker; the longest hold wins. `reason` holds no secret."""
        now = self._outage.now()
        until, reason = now + held_for(seconds), reason[:LONGEST_REASON]
        if self._outage.may_ask():
            try:
                until, reason, now = self._shared.hold(account, seconds, reason)
            except UNREACHABLE as exc:
                self._outage.begin(exc)
            else:
                self._answered(now)
        return _moment(self._local.hold(account, until, reason, now).hold)

    def state(self, account: str) -> AccountState:
        """What is known of the account now. Changes nothing."""
        if self._outage.may_ask():
            try:
                row = self._shared.row(account)
            except UNREACHABLE as exc:
                self._outage.begin(exc)
            else:
                self._answered(row.now)
                return _state(row, shared=True)
        known, now = self._local.known(account), self._outage.now()
        row = Row(now, known.tat, known.hold, known.reason, probing=False, slots=int(known.busy))
        return _state(row, shared=False)

    def close(self) -> None:
        """Wake all who wait (they raise Draining) and grant nothing more. Permits that are out stay good."""
        self._closing.set()
        self._shared.close()

    def _wait_for(self, wanted: _Wanted) -> _Grant:
        pause = FIRST_PAUSE
        while True:
            grant = self._ask(wanted)
            verdict = grant.answer.verdict
            if verdict is Verdict.GRANTED and self._arrives_in_time(grant):
                return grant
            if self._closing.is_set():
                raise Draining("This worker is shutting down.")
            left = wanted.deadline - monotonic()
            if verdict in {Verdict.TOO_EARLY, Verdict.HELD} or left <= 0:
                raise self._refusal(wanted.account, grant.answer)
            self._closing.wait(min(pause * (0.5 + self._dice()), left))
            pause = min(pause * 1.6, LONGEST_PAUSE)

    def _ask(self, wanted: _Wanted) -> _Grant:
        """Ask Valkey, or ourselves when it is away."""
        account, limits, cost = wanted.account, wanted.limits, wanted.cost
        if self._outage.may_ask():
            token, known, asked = token_hex(8), self._known(account, limits), monotonic()
            try:
                answer = self._shared.take(
                    account, limits, cost=cost, max_wait=wanted.wait_left(), token=token, known=known
                )
            except UNREACHABLE as exc:
                # The answer may be lost and the slot taken all the same: it is freed once Valkey is back.
                self._owed.append((account, token))
                self._outage.begin(exc)
            else:
                self._local.learn(account, answer)
                self._answered(answer.now)
                return _Grant(account, answer, asked, token)
        asked = monotonic()
        answer = self._local.take(
            account,
            limits,
            cost=cost,
            max_wait=wanted.wait_left(),
            now=self._outage.now(),
            since=self._outage.since,
        )
        return _Grant(account, answer, asked)

    def _known(self, account: str, limits: Limits) -> Known:
        """What to tell Valkey. After an outage bursts begin empty: others may have sent what it never heard of."""
        known, last = self._local.known(account), self._outage.last
        return replace(known, tat=max(known.tat, last + payback(limits))) if last else known

    def _arrives_in_time(self, grant: _Grant) -> bool:
        """Sleep until the grant's time. Late or not wanted any more, it is given back (its rate is spent)."""
        wait = (grant.answer.at - grant.answer.now) / SECOND
        due = monotonic() + wait
        try:
            while (left := due - monotonic()) > 0 and not self._closing.is_set():
                self._closing.wait(left)
        except BaseException:
            self._give_back(grant, succeeded=False)
            raise
        # The clock was read after `asked`, so the grant's time is no earlier than this.
        if monotonic() - (grant.asked + wait) <= STALE and not self._closing.is_set():
            return True
        self._give_back(grant, succeeded=False)
        return False

    def _refusal(self, account: str, answer: Answer) -> RateLimited:
        busy = answer.verdict not in {Verdict.TOO_EARLY, Verdict.HELD}
        at = max(answer.at, answer.now + int(BUSY_FOR * SECOND)) if busy else answer.at
        at += int(spread((at - answer.now) / SECOND, self._dice()) * SECOND)
        return RateLimited("budget_exhausted", _words(account, answer), resume_at=_moment(at))

    def _give_back(self, grant: _Grant, *, succeeded: bool) -> None:
        if grant.token is None:
            self._local.release(grant.account)
        elif grant.answer.leased:
            self._release(grant.account, grant.token, succeeded=succeeded)

    def _release(self, account: str, token: str, *, succeeded: bool) -> None:
        if not self._outage.active:
            try:
                self._shared.release(account, token, succeeded=succeeded)
                return
            except UNREACHABLE as exc:
                self._outage.begin(exc)
        self._owed.append((account, token))

    def _answered(self, now: int) -> None:
        """Valkey is there: tell it what could not be told while it was away."""
        self._outage.over(now)
        while self._owed and not self._outage.active:
            try:
                account, token = self._owed.popleft()
            except IndexError:  # another thread took the last one
                return
            self._release(account, token, succeeded=False)


def _words(account: str, answer: Answer) -> str:
    name, when = f"account {account[:100]!r}", _moment(answer.at).strftime("%H:%M:%S UTC")
    match answer.verdict:
        case Verdict.HELD:
            why = f" ({answer.reason})" if answer.reason else ""
            return f"The system asked {name} to wait until {when}{why}."
        case Verdict.NO_SLOT:
            return f"As many requests of {name} are under way as may be."
        case Verdict.PROBING:
            return f"One request of {name} is trying whether the system answers again."
        case _:
            return f"The budget of {name} is used up until {when}."


def _state(row: Row, *, shared: bool) -> AccountState:
    held = row.hold > row.now
    return AccountState(
        shared=shared,
        paid_off_at=_moment(row.tat) if row.tat > row.now else None,
        held_until=_moment(row.hold) if held else None,
        reason=(row.reason or None) if held else None,
        probing=row.probing,
        slots=row.slots,
    )


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
