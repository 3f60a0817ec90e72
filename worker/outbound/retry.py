"""What follows from an answer, and from a handful of them? Pure; durations in seconds.

A record that is refused while others are taken waits by itself, and only its latest state is sent when its time comes. Where
nothing is taken any more, the endpoint rests as a whole, and nothing is lost of what waits: the position doesn't move. After
three such rests with refusals (and not silence) its records wait by themselves, too, since all of them may be what it can't
take. After days without one delivery, or when it says that it is gone (410), the subscription is disabled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from worker.parsing.durations import format_duration

DELAYS = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18000.0, 28800.0)
"""After the first failure, the second and so on; the last is repeated."""
DAYS = 5 * 86400.0
"""So long is tried."""
LONGEST_ASKED = 86400.0
"""More patience than this no receiver may ask for."""
RESTS = 3
MOST_PENDING = 1000
"""Records that wait by themselves. With more, the endpoint rests rather than that the feed is turned into a list."""
JITTER = 0.1

_OWN_FAULT = frozenset({400, 406, 409, 413, 415, 422})
"""What a receiver says of one message and not of itself."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that was not taken."""

    words: str
    retry_after: float | None = None
    silent: bool = False
    """The endpoint could not be reached, or asked for patience: the message has no part in it."""
    own: bool = False
    """It is this message that it doesn't take."""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a handful of messages."""

    moves: bool
    """The position moves; what failed waits by itself."""
    attempt: int
    """Rests in a row."""
    rest: float | None
    """The endpoint rests for so long."""
    failing: bool | None
    """Nothing was delivered; None: that isn't to say."""
    disabled: str | None = None


def outcome_of(status: int, retry_after: str | None, now: datetime) -> Failed | None:
    """What an answer means; None: it was taken."""
    if 200 <= status < 300:
        return None
    asked = seconds_of(retry_after, now)
    words = f"it answered {status}"
    if 300 <= status < 400:
        words += ", and redirects are not followed"
    silent = status == 429 or (status == 503 and asked is not None)
    return Failed(words, asked, silent=silent, own=status in _OWN_FAULT, gone=status == 410)


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds: a number, or a time of HTTP. What can't be read says nothing."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_ASKED)
    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return min(max((then - now).total_seconds(), 0.0), LONGEST_ASKED)


def delay(attempt: int, dice: float, asked: float | None = None) -> float:
    """How long to wait after so many failures; `dice` is from 0 to 1. Never less than was asked for."""
    wait = DELAYS[min(max(attempt, 1), len(DELAYS)) - 1] * (1 + JITTER * dice)
    return max(wait, asked or 0.0)


def record_delay(attempt: int, failing: float, dice: float, asked: float | None = None) -> float | None:
    """The same for one record; None: it is given up, until it changes again."""
    return None if failing >= DAYS else delay(attempt, dice, asked)


def judge(
    results: Sequence[Failed | None],
    *,
    attempt: int,
    failing: float,
    pending: int,
    dice: float,
    again: bool = False,
) -> Verdict:
    """What becomes of messages that were sent together.

    `failing`: for how long nothing has been delivered. `again`: of records that wait by themselves already.
    """
    failures = [result for result in results if result is not None]
    if any(failure.gone for failure in failures):
        return Verdict(False, attempt, None, failing=True, disabled="The receiver is gone: it answered 410.")
    silent = any(failure.silent for failure in failures)
    asked = max((failure.retry_after or 0.0 for failure in failures), default=0.0)
    if not results:
        return Verdict(True, attempt, None, failing=None)
    full = not again and pending + len(failures) > MOST_PENDING
    if len(failures) < len(results):
        rest = delay(1, dice, asked) if silent or full else None
        return Verdict(not full, 0, rest, failing=False)
    if again and not silent:
        return Verdict(True, attempt, None, failing=None)
    if failing >= DAYS:
        words = f"Nothing was delivered for {format_duration(DAYS)}; {failures[-1].words}."
        return Verdict(False, attempt, None, failing=True, disabled=words)
    own = all(failure.own for failure in failures) and not silent and not full
    moves = own or (not silent and not full and attempt >= RESTS)
    rest = None if own else delay(attempt + 1, dice, asked)
    return Verdict(moves, attempt if own else attempt + 1, rest, failing=True)
