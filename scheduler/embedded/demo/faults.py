"""What is wrong with the demo system at the moment?

A fault is set by name with a value, and ends by a count, at a time, or when it is cleared. Asking for one with `take`
spends its count; it is for the caller to do what it says. Errors are drawn from seeded dice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from scheduler.embedded.demo.plant.schema import ENTITIES, iso, parse_iso


class FaultError(ValueError):
    """The fault asked for is none, and why."""


@dataclass(frozen=True, slots=True)
class Fault:
    value: Any
    entity: str | None = None
    """Only requests for this entity; None is all of them."""
    left: int | None = None
    until: int | None = None

    def holds(self, entity: str | None, now: int) -> bool:
        return (
            (self.entity is None or self.entity == entity)
            and (self.left is None or self.left > 0)
            and (self.until is None or now < self.until)
        )

    def as_json(self) -> dict[str, Any]:
        until = None if self.until is None else iso(self.until)
        return {"value": self.value, "entity": self.entity, "left": self.left, "until": until}


class Faults:
    def __init__(self, seed: int) -> None:
        self._rng = Random(f"{seed}/faults")  # noqa: S311 -- no secret
        self._set: dict[str, Fault] = {}

    def set(self, body: Mapping[str, Any], now: int) -> None:
        """Set all faults that `body` names, or none of them. Raises FaultError.

        `count`, `until` (a time), `for_seconds` and `entity` hold for all faults of one body.
        """
        if unknown := sorted(body.keys() - KINDS.keys() - SCOPE - ERROR_DETAILS):
            known = ", ".join(sorted([*KINDS, *SCOPE, *ERROR_DETAILS]))
            raise FaultError(f"There is no fault named {unknown[0]!r}. There are: {known}.")
        scope = _scope(body, now)
        named = {name: value for name, value in body.items() if name in KINDS}
        if ERROR_DETAILS & body.keys():
            named.setdefault("error_rate", 1.0)
        if not named:
            raise FaultError("The body names no fault.")
        found = {name: KINDS[name](name, value) for name, value in named.items()}
        if "error_rate" in found:
            found["error_rate"] = {"rate": found["error_rate"], **_error_details(body)}
        self._set |= {name: replace(scope, value=value) for name, value in found.items()}

    def take(self, name: str, entity: str | None, now: int) -> Any:
        """The fault's value if it holds now, spending one of its count; else None."""
        fault = self._set.get(name)
        if fault is None or not fault.holds(entity, now):
            return None
        share = fault.value["rate"] if name == "error_rate" else fault.value if name in SHARES else 1.0
        if share < 1.0 and self._rng.random() >= share:
            return None
        if fault.left is not None:
            self._set[name] = replace(fault, left=fault.left - 1)
        return fault.value

    def value(self, name: str, entity: str | None, now: int) -> Any:
        """The fault's value if it holds now, without spending anything."""
        fault = self._set.get(name)
        return fault.value if fault is not None and fault.holds(entity, now) else None

    def between(self, low: float, high: float) -> float:
        return self._rng.uniform(low, high)

    def clear(self, name: str | None = None) -> None:
        if name is None:
            self._set.clear()
        else:
            self._set.pop(name, None)

    def as_json(self, now: int) -> dict[str, Any]:
        """Those that still hold."""
        return {n: f.as_json() for n, f in self._set.items() if f.holds(f.entity, now)}


def _scope(body: Mapping[str, Any], now: int) -> Fault:
    entity = body.get("entity")
    if entity is not None and entity not in ENTITIES:
        raise FaultError(f"There is no entity {entity!r}. There are: {', '.join(ENTITIES)}.")
    left = _whole("count", body["count"], 1) if body.get("count") is not None else None
    until = None
    if body.get("for_seconds") is not None:
        until = now + round(_number("for_seconds", body["for_seconds"]) * 1000)
    if body.get("until") is not None:
        try:
            until = parse_iso(body["until"])
        except (TypeError, ValueError) as error:
            raise FaultError("until must be a time with a time zone, as 2026-03-01T07:00:00Z.") from error
    return Fault(None, entity, left, until)


def _error_details(body: Mapping[str, Any]) -> dict[str, Any]:
    status, form = body.get("error_status", 500), body.get("error_body", "json")
    if type(status) is not int or not 400 <= status < 600:
        raise FaultError("error_status must be a whole number from 400 to 599.")
    if form not in {"json", "html"}:
        raise FaultError("error_body must be json or html.")
    return {"status": status, "body": form}


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**9:
        raise FaultError(f"{name} must be a number from 0 up.")
    return value


def _signed(name: str, value: Any) -> float:
    sign = -1 if isinstance(value, int | float) and value < 0 else 1
    return sign * _number(name, sign * value if sign < 0 else value)


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or value == "id":
        raise FaultError(f"{name} must be the name of a field, and not id.")
    return value


def _rate(name: str, value: Any) -> float:
    if _number(name, value) > 1:
        raise FaultError(f"{name} must be from 0 to 1.")
    return float(value)


def _whole(name: str, value: Any, least: int = 0) -> int:
    if type(value) is not int or not least <= value < 10**9:
        raise FaultError(f"{name} must be a whole number from {least} up.")
    return value


def _switch(name: str, value: Any) -> bool:
    if value is not True:
        raise FaultError(f"{name} can only be true; clear it with DELETE.")
    return True


def _span(name: str, value: Any) -> list[float]:
    low, high = value if isinstance(value, list) and len(value) == 2 else (value, value)
    if _number(name, low) > _number(name, high):
        raise FaultError(f"{name} must be a number, or two of which the first is the smaller.")
    return [low, high]


def _shift(name: str, value: Any) -> dict[str, int]:
    """How many records each page request inserts, and how many old ones it moves to the end."""
    if not isinstance(value, dict):
        return {"insert": _whole(name, value, 1), "touch": _whole(name, value, 1)}
    if value.keys() - {"insert", "touch"}:
        raise FaultError(f"{name} knows only insert and touch.")
    return {key: _whole(f"{name}.{key}", value.get(key, 0)) for key in ("insert", "touch")}


def _bad_record(name: str, value: Any) -> str:
    known = ("wrong_type", "missing_id", "not_an_object")
    if value is True:
        return known[0]
    if value not in known:
        raise FaultError(f"{name} must be one of {', '.join(known)}.")
    return str(value)


SCOPE = {"count", "until", "for_seconds", "entity"}
ERROR_DETAILS = {"error_status", "error_body"}
SHARES = {"webhook_lost", "webhook_twice", "webhook_late"}
"""Faults that befall only some, as the dice say."""

KINDS: Mapping[str, Callable[[str, Any], Any]] = {
    "auth_revoked": _switch,  # every token is refused
    "storm_429": _whole,  # everything is answered 429, with this Retry-After in seconds
    "latency_ms": _span,  # the answer comes so much later: a number, or [low, high]
    "error_rate": _rate,  # this share fails, with error_status and error_body
    "empty_list": _switch,  # 200 and no records, though there are some
    "cut_short": _switch,  # a page that isn't the last says that it is
    "dropped_page": _switch,  # the page after the one asked for, where there is one: this one is never shown
    "broken_filter": lambda name, value: _whole(
        name, value, 1
    ),  # each so many-th record isn't listed, nor counted
    "ignored_filter": _switch,  # all is listed, whatever time is asked for
    "mangled_field": _name,  # the records of a page lose half of this field, and keep their stamps
    "bad_record": _bad_record,  # one record of a page can't be taken
    "shifting_pages": _shift,  # by page or offset: records are inserted and moved while somebody pages
    "truncated_body": _switch,  # the connection ends in the middle of the body
    "malformed_json": _switch,  # the body ends in the middle of a record, and claims to be whole
    "wrong_content_type": _switch,  # JSON that says it is HTML
    "late_commit_seconds": _number,  # changes are stamped now and show so much later
    "clock_skew_seconds": _signed,  # Date header and stamps are ahead by so much; behind, if negative
    "coarse_clock_seconds": _number,  # changes are stamped with a time cut to so many seconds
    "duplicate_timestamps": lambda name, value: _whole(
        name, value, 2
    ),  # so many records get one updated_at, once
    "webhook_lost": _rate,  # this share of webhooks is never sent
    "webhook_twice": _rate,  # this share is sent twice
    "webhook_late": _rate,  # this share comes after the one that follows
}
