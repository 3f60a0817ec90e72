"""What becomes of a run that met an error? Pure: the error, the attempts so far and a throw of the dice decide."""

from dataclasses import dataclass
from datetime import datetime

from worker.errors import Cancelled, Draining, HeadraceError, NotNow, RateLimited, SliceEnded, Transient
from worker.runs.finish import Failure, WaitReason
from worker.runs.states import State

FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 900.0
SHORTEST_WAIT = 1.0
"""For a limit, even where its time seems past: the clocks of two servers differ, and asked at once it refuses at once."""
FOR_A_PERSON = 300.0
"""Seconds until something that a person must mend is tried again, where it can't be left alone."""
SPREAD = 0.25
"""A share of each wait that is left to the dice, so that what failed together doesn't come back together."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The run waits and goes on where its last page ended."""

    wait: float
    reason: WaitReason
    spent: bool
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The run is over."""

    outcome: State
    failure: Failure


def settle(
    error: HeadraceError, *, attempt: int, max_attempts: int, now: datetime, dice: float, owes: bool = False
) -> GiveBack | End:
    """`attempt` counts the failures before this one; `dice` is in [0, 1). `owes`: events wait for this run, and would wait
    for the next one as well, so it is never over: it waits with its words, and is the one that others would ask for.
    """
    failure = Failure(error.code, str(error))
    match error:
        case Draining():
            return GiveBack(0.0, "slice" if isinstance(error, SliceEnded) else "drain", spent=False)
        case RateLimited(resume_at=resume_at):
            wait = max(SHORTEST_WAIT, (resume_at - now).total_seconds())
            return GiveBack(wait + SPREAD * dice * min(wait, 4.0), "limit", spent=False, failure=failure)
        case NotNow(resume_at=resume_at, reason=reason):
            wait = max(SHORTEST_WAIT, (resume_at - now).total_seconds())
            return GiveBack(wait + SPREAD * dice * min(wait, 4.0), reason, spent=False, failure=failure)
        case Cancelled():
            return End(State.CANCELLED, failure)
        case Transient() if attempt + 1 < max_attempts:
            return GiveBack(backoff(attempt, dice), "retry", spent=True, failure=failure)
        case _:
            least = 0.0 if isinstance(error, Transient) else FOR_A_PERSON
            again = GiveBack(max(least, backoff(attempt, dice)), "retry", spent=True, failure=failure)
            return again if owes else End(State.FAILED, failure)


def backoff(attempt: int, dice: float) -> float:
    """Seconds until the next attempt: 5, 10, 20, … up to 15 minutes, less up to a quarter."""
    full = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempt, 30))
    return full * (1.0 - SPREAD * dice)
