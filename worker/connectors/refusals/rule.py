"""What does one rule of a manifest say: which answers does it mean, and what are they? Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.connectors.answers import clean_words, words_of
from worker.connectors.contract import Response
from worker.connectors.reading.seeking import Body, needles_of, plain
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.connectors.refusals.kinds import RATE_LIMITED, error_of
from worker.errors import HeadraceError

_UNITS = {"s": 1.0, "ms": 0.001}
_NUMBER = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(?:s|ms|sec|seconds?)?\s*", re.ASCII)


A_CLASS = 100
"""So many statuses are in `4xx`: a rule about all of them names none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """All that is said of an answer must hold; what is None isn't asked."""

    kind: str
    statuses: frozenset[int] | None = None
    path: FieldPath | None = None
    equals: frozenset[str] | None = None
    """As text: 1100 and "1100" are the same."""
    matches: re.Pattern[str] | None = None
    present: bool = True
    """Where a path has no other condition: whether something stands there."""
    code: str | None = None
    words: tuple[FieldPath, ...] = ()
    wait: FieldPath | None = None
    header: str | None = None
    """The header that says for how long."""
    unit: float = 1.0
    """Seconds in one unit of the wait."""
    needles: tuple[bytes, ...] = ()
    """What any answer that it means holds, as bytes."""

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Rule":
        """From a manifest; the schema has been checked already. Raises `re.error` for what is no regular expression."""
        path = field_path_of(found["path"]) if "path" in found else None
        equals = _texts(found["equals"]) if "equals" in found else None
        absent = found.get("present") is False
        return cls(
            kind=found["kind"],
            statuses=_statuses(found["status"]) if "status" in found else None,
            path=path,
            equals=equals,
            matches=re.compile(found["matches"]) if "matches" in found else None,
            present=not absent,
            code=found.get("code"),
            words=_paths(found.get("words", ())),
            wait=field_path_of(found["wait"]) if "wait" in found else None,
            header=found["header"].lower() if "header" in found else None,
            unit=_UNITS[found.get("unit", "s")],
            needles=() if path is None or absent else (*needles_of(path), *_value_needles(equals)),
        )

    def may_mean(self, status: int) -> bool:
        """Whether an answer of this status can be meant."""
        return self.statuses is None or status in self.statuses

    def failure(self, response: Response, body: Body, usual: Sequence[FieldPath]) -> HeadraceError | None:
        """What such an answer is; None where the rule doesn't mean it. `usual`: where the system's words stand mostly."""
        if not self.may_mean(response.status) or not body.holds(self.needles):
            return None
        found = self._found(body)
        if found is None:
            return None
        words = words_of(response, (*self.words, *usual)) or found.words
        said = f"The system answered {response.status}"
        if 200 <= response.status < 300:
            said += " with an error"
        said += f": {words}" if words else "."
        seconds = self._seconds(response, body, found) if self.kind == RATE_LIMITED else None
        error = error_of(self.kind, said, code=self.code, seconds=seconds)
        error.by_rule = self.statuses is not None and len(self.statuses) < A_CLASS
        return error

    def _found(self, body: Body) -> "_Found | None":
        if self.path is None:
            if self.matches is None:
                return _Found()
            match = self.matches.search(body.text)
            return None if match is None else _Found(match=match)
        if not self.present:
            standing = any(_stands(value) for value in body.values(self.path))
            return None if standing or not body.is_json else _Found()
        for value in body.values(self.path):
            if (found := self._holds(value)) is not None:
                return found
        return None

    def _holds(self, value: Any) -> "_Found | None":
        if self.equals is None and self.matches is None:
            return _Found(words=_shown(value)) if _stands(value) else None
        text = _text(value)
        if text is None or (self.equals is not None and text not in self.equals):
            return None
        match = None if self.matches is None else self.matches.search(text)
        return (
            None if match is None and self.matches is not None else _Found(words=_shown(value), match=match)
        )

    def _seconds(self, response: Response, body: Body, found: "_Found") -> float | None:
        said: list[Any] = [] if self.wait is None else body.values(self.wait)
        if self.header is not None:
            said.append(response.headers.get(self.header))
        if found.match is not None and found.match.re.groups:
            said.append(found.match[1])
        numbers = (number for value in said if (number := _number(value)) is not None)
        return next((number * self.unit for number in numbers), None)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a rule found: what stood there, where it can be shown, and what its expression met."""

    words: str | None = None
    match: re.Match[str] | None = None


def _stands(value: Any) -> bool:
    """null, false, and what is empty is as good as nothing."""
    return value is not None and value is not False and value not in ("", [], {})


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _shown(value: Any) -> str | None:
    text = None if isinstance(value, bool) else _text(value)
    return clean_words(text) if text else None


def _number(value: Any) -> float | None:
    text = _text(value)
    found = None if text is None else _NUMBER.fullmatch(text)
    return None if found is None else float(found[1])


def _texts(found: Any) -> frozenset[str]:
    several = found if isinstance(found, list) else [found]
    return frozenset(text for value in several if (text := _text(value)) is not None)


def _value_needles(equals: Collection[str] | None) -> tuple[bytes, ...]:
    """Of several values, any may stand there: then none must."""
    if equals is None or len(equals) != 1:
        return ()
    needle = plain(next(iter(equals)))
    return () if needle is None else (needle,)


def _statuses(found: Any) -> frozenset[int]:
    several = found if isinstance(found, list) else [found]
    return frozenset(status for value in several for status in _range(value))


def _range(value: int | str) -> Collection[int]:
    if isinstance(value, int):
        return (value,)
    first = int(value[0]) * 100
    return range(first, first + 100)


def _paths(found: Any) -> tuple[FieldPath, ...]:
    return (field_path_of(found),) if isinstance(found, str) else tuple(field_path_of(path) for path in found)
