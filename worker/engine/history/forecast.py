"""How far is a history, and how long will it take? Pure: its slices, and what an account may send, go in.

An estimate and no promise. How many records are left is what the system said there are in all, less what was read; where
it says nothing, as many a day as in what was read. Requests follow from the records that came on a page so far. The time
is the longer of two: at the pace so far, and as the account's limits allow that many requests.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.engine.history.slices import Slice, Tally, pending, still_left, worth
from worker.limits.policy import Limits


@dataclass(frozen=True, slots=True)
class Forecast:
    """What there is still to be read. None: nobody can say."""

    records: int | None
    requests: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a history stands."""

    slices_done: int
    slices: int | None
    """In all, as far as that can be told: what isn't cut yet is reckoned."""
    records: int
    requests: int
    seconds: float
    """Spent reading."""
    since: datetime | None
    """How far back it goes; None: to the beginning."""
    until: datetime | None
    read_back_to: datetime | None
    """Everything from here on is in the copy; None: not even the newest slice is."""
    left: Forecast

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1."""
        if self.left.records is None:
            return None
        whole = self.records + self.left.records
        return 1.0 if not whole else self.records / whole


Wait = Callable[[int], float | None]
"""Seconds until an account may have sent that many requests; None: nobody can say."""


def progress(slices: Sequence[Slice], wait: Wait, sample: Slice | None = None) -> Progress:
    """Where these slices stand, all of one stream's. `sample`: what says how dense they are while nothing was read."""
    open_ones = pending(slices)
    done = [each for each in slices if each.finished]
    tally = _sum(slices)
    measure = [sample] if sample is not None and not tally.records else []
    left = _records_left(slices, open_ones, measure)
    unbounded = any(each.since is None for each in slices)
    return Progress(
        slices_done=len(done),
        slices=_slices_in_all(done, open_ones, left),
        records=tally.records,
        requests=tally.requests,
        seconds=tally.seconds,
        since=None if unbounded or not slices else min(each.since for each in slices if each.since),
        until=max((each.until for each in slices), default=None),
        read_back_to=_back_to(slices),
        left=forecast(left, _sum(measure) if measure else tally, wait),
    )


def forecast(records: int | None, paid: Tally, wait: Wait) -> Forecast:
    """What reading so many records takes, if it goes as `paid` went."""
    if records is None:
        return Forecast(None, None, None)
    if not paid.records or not paid.requests:
        return Forecast(records, 0 if not records else None, 0.0 if not records else None)
    requests = math.ceil(records * paid.requests / paid.records)
    at_pace = records * paid.seconds / paid.records
    allowed = wait(requests) if requests else 0.0
    return Forecast(records, requests, at_pace if allowed is None else max(at_pace, allowed))


def at_rate(limits: Limits, requests: int) -> float | None:
    """Seconds for that many requests by the limits alone, as if nobody else asked; None: there are none of that kind."""
    rates = [
        max(0.0, requests - rule.burst) * rule.per / rule.requests
        for rule in limits.all_rules()
        if rule.requests is not None and rule.selects == ("account", (), (), ())
    ]
    return max(rates, default=None)


def _records_left(
    slices: Sequence[Slice], open_ones: Sequence[Slice], measure: Sequence[Slice]
) -> int | None:
    """What the system said counts most; then the density of what was read; an end that nobody knows is no number."""
    if not open_ones:
        return 0
    rest = open_ones[-1]
    if (said := still_left(rest, slices)) is not None:
        # The slices above the rest that are under way were counted with it.
        return max(0, said - sum(each.tally.records for each in open_ones))
    spans = [(each, each.seconds) for each in [*slices, *measure] if each.finished and each.seconds]
    span = sum(seconds or 0.0 for _, seconds in spans)
    wanted = [each.seconds for each in open_ones]
    if not span or any(seconds is None for seconds in wanted):
        return None
    density = sum(each.tally.records for each, _ in spans) / span
    expected = density * sum(seconds or 0.0 for seconds in wanted)
    left = round(expected) - sum(each.tally.records for each in open_ones)
    return left if left >= 0 else None  # denser than what was read: how much, nobody can say


def _slices_in_all(done: Sequence[Slice], open_ones: Sequence[Slice], left: int | None) -> int | None:
    if not open_ones or open_ones[-1].position is not None:
        return len(done) + len(open_ones)
    if left is None or not any(each.tally.records for each in done):
        return None
    return len(done) + max(len(open_ones), math.ceil(left / max(1.0, worth(done))))


def _back_to(slices: Sequence[Slice]) -> datetime | None:
    """Where the newest stretch begins that is read without a gap."""
    back = None
    for each in sorted(slices, key=lambda each: each.until, reverse=True):
        if not each.finished:
            return back
        back = each.since
    return back


def _sum(slices: Sequence[Slice]) -> Tally:
    total = Tally()
    for each in slices:
        tally = each.tally
        total = total.plus(records=tally.records, requests=tally.requests, seconds=tally.seconds)
    return total
