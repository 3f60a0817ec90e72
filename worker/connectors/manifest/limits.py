"""What does a manifest say about how fast a system may be asked? `limits:` becomes `Limits`, or a complaint with its line.

One limit, or a list of them that all hold at once:

    limits:
      - {requests: 10, per: 1s}
      - {requests: 600, per: 1m}
      - {quota: 10000, per: day, resets: "06:00", timezone: Europe/Berlin}
      - {requests: 1, per: 10s, paths: ["/meters/*/readings"]}
      - {concurrency: 5, of: connection}
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.limits.headers import LimitHeaders
from worker.limits.policy import Limits, Rule
from worker.parsing.documents import Document, suggest
from worker.parsing.durations import parse_duration

PERIODS = frozenset({"day", "month"})
SELECTORS = ("of", "methods", "streams", "paths")
OF_QUOTAS = ("resets", "timezone")
OLD = frozenset({"requests", "per", "burst", "concurrency"})


def read_limits(document: Document) -> Limits:
    """The limits of a document that fits the schema."""
    limits = _limits(document)
    named = document.data.get("limit_headers")
    return limits if named is None else replace(limits, headers=_headers(document, named))


def _headers(document: Document, found: Mapping[str, Any]) -> LimitHeaders:
    names = {key: found[key].lower() for key in ("remaining", "limit", "reset", "wait") if key in found}
    if "unit" in found and "reset" not in found:
        message = "unit says how reset is counted, and no header is named for that."
        raise document.error(("limit_headers", "unit"), "bad_value", message)
    if "wait_unit" in found and "wait" not in found:
        message = "wait_unit says how wait is counted, and no header is named for that."
        raise document.error(("limit_headers", "wait_unit"), "bad_value", message)
    per = parse_duration(found["per"]) if "per" in found else None
    counted = found.get("wait_unit", "s")
    return LimitHeaders(**names, unit=found.get("unit"), wait_unit=counted, per=per)


def _limits(document: Document) -> Limits:
    found = document.data.get("limits", {})
    if isinstance(found, Mapping):
        if not found:
            return Limits()
        rule = _rule(document, ("limits",), found, [found])
        if OLD.issuperset(found):
            return Limits(rule.requests, rule.per, rule.burst, rule.concurrency)
        return Limits(rules=(rule,))
    return Limits(rules=tuple(_rule(document, ("limits", n), one, found) for n, one in enumerate(found)))


def _rule(
    document: Document,
    where: tuple[str | int, ...],
    found: Mapping[str, Any],
    every: Sequence[Mapping[str, Any]],
) -> Rule:
    for key, message, hint in _wrong(document, found):
        place = (*where, key) if key in found else where
        raise document.error(place, "bad_value", message, hint=hint)
    quota, per = found.get("quota"), found.get("per", "day" if "quota" in found else "1m")
    return Rule(
        requests=found.get("requests"),
        per=60.0 if quota else parse_duration(per),
        burst=found.get("burst", _burst(found, every)),
        concurrency=found.get("concurrency"),
        quota=quota,
        period=per if quota else "day",
        resets=found.get("resets", "00:00"),
        timezone=found.get("timezone", "UTC"),
        of=found.get("of", "account"),
        methods=tuple(found.get("methods", ())),
        streams=tuple(found.get("streams", ())),
        paths=tuple(found.get("paths", ())),
    )


def _burst(found: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> int:
    """The shortest window of several sets the pace; the longer ones only say how much in all."""
    beside = [
        parse_duration(one.get("per", "1m"))
        for one in every
        if "requests" in one and all(one.get(key) == found.get(key) for key in SELECTORS)
    ]
    longer = "requests" in found and parse_duration(found.get("per", "1m")) > min(beside)
    return int(found["requests"]) if longer else 1


def _wrong(document: Document, found: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """What contradicts itself, or names what isn't there: the key, what is wrong, and what to do."""
    if not found.keys() & {"requests", "quota", "concurrency"}:
        yield "per", "This limits nothing.", "Give it requests, a quota or a concurrency."
    if "requests" in found and "quota" in found:
        yield "quota", "A window and a quota are two limits.", "Make limits a list, with one item for each."
    if "burst" in found and "requests" not in found:
        yield "burst", "A burst is of requests, and none are limited here.", None
    yield from _wrong_times(found)
    known = document.data.get("streams", {})
    for name in found.get("streams", ()):
        if name not in known:
            yield "streams", f"There is no stream {name!r} in this manifest.", suggest(name, known) or None


def _wrong_times(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    per = found.get("per")
    if per is not None and "quota" in found and per not in PERIODS:
        yield "per", "A quota is per day or per month.", "For another time, say requests and per."
    if per in PERIODS and "quota" not in found:
        yield "per", f"A window can't be a {per}.", "For a day or month, say quota; for a window, 24h."
    if per is not None and per not in PERIODS and parse_duration(per) == 0:
        yield "per", "A window can't be empty.", None
    for key in OF_QUOTAS:
        if key in found and "quota" not in found:
            yield key, f"Only a quota has a {key}: a window slides.", None
    if "timezone" in found and not _is_zone(found["timezone"]):
        yield "timezone", f"{found['timezone']!r} is no time zone.", "Write it like Europe/Berlin or UTC."


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
