"""What does an answer say about how many more requests a system will take? Pure.

    RateLimit: "default";r=50;t=30              RateLimit-Policy: "default";q=100;w=60      (the IETF's draft from 08 on)
    RateLimit: limit=100, remaining=50, reset=30                                            (its draft 07)
    [X-]Rate[-]Limit-Limit, -Remaining, -Reset  plain, or with -Minute-, -Requests- in or after the name
    Retry-After                                 seconds or a date

A reset is a number of seconds, a duration (`6m0s`), seconds or milliseconds since 1970, or a date; which, is told by its
size, and times are read by the answer's own `Date`, since a system's clock may be wrong. Of several limits the strictest
counts. Bytes and slots under way are not requests, and are left out; so are Dataverse's `x-ms-ratelimit-*`, which count
per server and which Microsoft says not to go by.

Promises: what is learned only ever slows down, and never for longer than a quarter of an hour at a time: then the system
is asked again. What can't be read says nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import floor

from worker.limits.headers import LimitHeaders
from worker.limits.policy import retry_after

LONGEST = 900.0
FEW_OF_KNOWN = 4
"""Few are left when it is a quarter of the limit."""
FEW = 10
"""And when there are so few, where the limit isn't said."""
_MOST = 10**9
_YEAR_2001 = 1_000_000_000
_MILLISECONDS = 100 * _YEAR_2001
_LONGEST_DELTA = 31 * 86_400.0
_LONGEST_VALUE = 200
_SHOWS = re.compile(r"rate-?limit|retry-after")

_NUMBER = re.compile(r"\s*(-?[0-9]{1,19}(?:\.[0-9]{1,9})?)\s*(?:[,;].*)?", re.ASCII | re.DOTALL)
_DURATION = re.compile(
    r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9})ms)?",
    re.ASCII,
)
_ITEM = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"|[^;,"\s]*)((?:\s*;\s*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\.)*"|[^;,"\s]*))?)*)\s*(?:,|$)'
)
"""Blanks can match in one way only: else a hostile value would cost a time that doubles with each of its parts."""
_PARAMETER = re.compile(r';\s*([a-z*][a-z0-9_.*-]*)=("(?:[^"\\]|\\.)*"|[^;,"]*)')
_PAIR = re.compile(r"\b(limit|remaining|reset)=\s*([^,;]+)")

_NAMES = tuple(
    tuple(f"{stem}{part}" for part in parts)
    for stem, parts in (
        ("ratelimit-", ("limit", "remaining", "reset")),
        ("x-ratelimit-", ("limit", "remaining", "reset")),
        ("x-rate-limit-", ("limit", "remaining", "reset")),
        ("x-ratelimit-", ("limit", "remaining", "ttl")),
        ("x-ratelimit-minute-", ("limit", "remaining", "ttl")),
        ("x-ratelimit-", ("requests-limit", "requests-remaining", "requests-reset")),
        ("x-ratelimit-", ("limit-requests", "remaining-requests", "reset-requests")),
    )
)


@dataclass(frozen=True, slots=True)
class Learned:
    """The strictest limit that an answer tells of. None: it doesn't say."""

    limit: int | None = None
    remaining: int | None = None
    seconds: float | None = None
    """Until the limit begins anew."""
    wait: float | None = None
    """What `Retry-After` asks for, of a refusal."""
    asked: float | None = None
    """What any answer asks for, by a header that its manifest names: none until then."""


@dataclass(frozen=True, slots=True)
class Course:
    """Send no more than `remaining` requests in the next `seconds`."""

    remaining: int
    seconds: float


def learned(headers: Mapping[str, str], now: datetime, named: LimitHeaders | None = None) -> Learned | None:
    """What the headers (names in lower case) say; None where they say nothing, which costs next to nothing.

    `named`: the system's own, where its manifest names them.
    """
    if named is None:
        if not any("rate" in name or name == "retry-after" for name in headers):
            return None
        if not any(_SHOWS.search(name) for name in headers):
            return None
    known = {name: value for name, value in headers.items() if len(value) <= _LONGEST_VALUE}
    their_now = _date(known.get("date", ""))
    found = [*_structured(known, now), *_spelled(known, their_now or now)]
    if named is not None:
        found += _named(known, named, their_now or now)
    strictest = min(found, key=_strictness, default=Learned())
    wait = retry_after(known, their_now or now)
    asked = (
        None
        if named is None or named.wait is None
        else _asked(known.get(named.wait), named, their_now or now)
    )
    if wait is None and asked is None and strictest == Learned():
        return None
    return Learned(
        strictest.limit, strictest.remaining, strictest.seconds, asked if wait is None else wait, asked
    )


def course(found: Learned) -> Course | None:
    """How to go on: spread what is left over the time when it is little, hold when it is nothing; else as before."""
    spread = _spread(found)
    if found.asked is None or (spread is not None and not spread.remaining and spread.seconds > found.asked):
        return spread
    return Course(0, min(found.asked, LONGEST))


def _spread(found: Learned) -> Course | None:
    """By what is left, and until when."""
    if found.remaining is None or found.seconds is None or found.seconds <= 0:
        return None
    few = FEW if found.limit is None else max(1, found.limit // FEW_OF_KNOWN)
    if found.remaining > few:
        return None
    seconds = min(max(1.0, found.seconds), LONGEST)
    if found.seconds > LONGEST and found.remaining:
        # The same pace, for as long as a word is believed.
        return Course(max(1, floor(found.remaining * LONGEST / found.seconds)), seconds)
    return Course(found.remaining, seconds)


def wait_after_refusal(found: Learned | None) -> float | None:
    """Seconds to stay away after a refusal, as far as the system says so."""
    if found is None:
        return None
    if found.wait is not None:
        return found.wait
    if found.seconds is None or found.remaining not in (None, 0):
        return None
    return min(max(1.0, found.seconds), 4 * LONGEST)


def _strictness(found: Learned) -> tuple[bool, float]:
    if found.remaining is None or found.seconds is None:
        return True, 0.0
    return False, found.remaining / max(1.0, found.seconds)


def _spelled(headers: Mapping[str, str], now: datetime) -> Iterator[Learned]:
    for limit, remaining, reset in _NAMES:
        if remaining in headers or reset in headers:
            yield Learned(
                _count(headers.get(limit)), _count(headers.get(remaining)), _until(headers.get(reset), now)
            )


def _named(headers: Mapping[str, str], named: LimitHeaders, now: datetime) -> Iterator[Learned]:
    reset = headers.get(named.reset or "")
    number = None if reset is None or named.unit is None else _NUMBER.fullmatch(reset)
    seconds = _until(reset, now) if number is None else named.seconds(float(number[1]), now.timestamp())
    if seconds is not None and not 0 < seconds <= _LONGEST_DELTA:
        seconds = None
    found = Learned(
        _count(headers.get(named.limit or "")),
        _count(headers.get(named.remaining or "")),
        named.per if seconds is None and reset is None else seconds,
    )
    if found.remaining is not None or reset is not None:
        yield found


def _asked(text: str | None, named: LimitHeaders, now: datetime) -> float | None:
    """Seconds until somebody may ask again; None: it doesn't say, or at once."""
    number = None if text is None or named.wait_unit == "s" else _NUMBER.fullmatch(text)
    if number is None:
        return _until(text, now)
    seconds = float(number[1]) / 1000
    return seconds if 0 < seconds <= _LONGEST_DELTA else None


def _structured(headers: Mapping[str, str], now: datetime) -> Iterator[Learned]:
    text = headers.get("ratelimit")
    if text is None:
        return
    if pairs := dict(_PAIR.findall(text)):
        yield Learned(
            _count(pairs.get("limit")), _count(pairs.get("remaining")), _until(pairs.get("reset"), now)
        )
        return
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    for name, given in _items(text):
        policy = policies.get(name, {})
        if policy.get("qu", "requests").strip('"') == "requests":
            seconds = given.get("t", policy.get("w"))
            yield Learned(_count(policy.get("q")), _count(given.get("r")), _until(seconds, now))


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The members of a list of structured fields (RFC 9651), as far as they can be read."""
    at = 0
    while at < len(text) and (found := _ITEM.match(text, at)) and found.end() > at:
        yield (
            found[1].strip().strip('"'),
            {name: value.strip() for name, value in _PARAMETER.findall(found[2])},
        )
        at = found.end()


def _count(text: str | None) -> int | None:
    found = None if text is None else _NUMBER.fullmatch(text)
    return None if found is None else max(0, min(floor(float(found[1])), _MOST))


def _until(text: str | None, now: datetime) -> float | None:
    """Seconds from now on; None: it can't be read, or is over, or too far away to be meant."""
    if text is None:
        return None
    number = _NUMBER.fullmatch(text)
    if number is not None:
        seconds = float(number[1])
        if seconds >= _YEAR_2001:
            seconds = seconds / (1000 if seconds >= _MILLISECONDS else 1) - now.timestamp()
    else:
        when = _date(text)
        seconds = _duration(text) if when is None else (when - now).total_seconds()
    return seconds if 0 < seconds <= _LONGEST_DELTA else None


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return 0.0
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _date(text: str) -> datetime | None:
    """A date of HTTP, or of ISO 8601."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = read(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None
