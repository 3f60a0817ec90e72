"""What does a `$filter` of OData say? Read and judged as the specifications have it, V4 and V2.

Of the language, what connectors send: `and`, `or`, `not`, parentheses, and a property compared with a literal. A literal
that isn't of the property's type is refused, as services do: V2 wants `datetimeoffset'…'` where a property is an
Edm.DateTimeOffset, V4 the bare time. Sources: OData 4.01 part 2 (5.1.1), and "OData Version 2.0" (4.5, 2010).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

Values = Callable[[str], Any]
"""What a record has in a property."""


class Refused(Exception):
    """What the service can't make sense of."""


@dataclass(frozen=True)
class Compared:
    """A property and a value. Null is neither before nor behind anything."""

    name: str
    operator: str
    value: Any

    def holds(self, values: Values) -> bool:
        own = values(self.name)
        if self.operator in {"eq", "ne"}:
            return bool(own == self.value) is (self.operator == "eq")
        if own is None or self.value is None:
            return False
        return bool(_ORDER[self.operator](own, self.value))

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True)
class Joined:
    """Two conditions, both of which (`and`) or one of which (`or`) must hold."""

    operator: str
    left: "Condition"
    right: "Condition"

    def holds(self, values: Values) -> bool:
        both = self.operator == "and"
        return self.right.holds(values) if self.left.holds(values) is both else not both

    @property
    def names(self) -> frozenset[str]:
        return self.left.names | self.right.names


@dataclass(frozen=True)
class Negated:
    """What must not hold."""

    inner: "Condition"

    def holds(self, values: Values) -> bool:
        return not self.inner.holds(values)

    @property
    def names(self) -> frozenset[str]:
        return self.inner.names


Condition = Compared | Joined | Negated


def read_filter(text: str, version: int, types: Mapping[str, str]) -> Condition:
    """The condition; `types` of properties that aren't strings. `Refused` for what a service would refuse."""
    return _Reading(text, version, types).whole()


def read_literal(text: str, kind: str, version: int) -> Any:
    """A value as it stands in a key: `'P-7'`, `guid'…'`, `7`."""
    return _Reading(text, version, {}).literal(kind)


def alternatives(condition: Condition) -> Iterator[Joined]:
    """Every `or` in it."""
    match condition:
        case Joined(operator, left, right):
            if operator == "or":
                yield condition
            yield from alternatives(left)
            yield from alternatives(right)
        case Negated(inner):
            yield from alternatives(inner)


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": lambda own, value: own > value,
    "ge": lambda own, value: own >= value,
    "lt": lambda own, value: own < value,
    "le": lambda own, value: own <= value,
}
_OPERATORS = frozenset({"eq", "ne", *_ORDER})
_TOKEN = re.compile(
    r"\s*(?:(?P<typed>[A-Za-z][\w.]*)'(?P<inner>(?:[^']|'')*)'"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?[LlMmDdFf]?)"
    r"|(?P<word>[A-Za-z_][\w/]*)"
    r"|(?P<sign>[()]))"
)
_WRITTEN_2 = frozenset({"datetimeoffset", "datetime", "guid"})
"""Before the quotes of V2."""
_BARE = {
    2: {"number": "number"},
    4: {"time": "datetimeoffset", "guid": "guid", "date": "date", "number": "number"},
}
"""What stands without quotes, by the name of its token, and its type."""
_NUMBERS = frozenset({"int32", "int64", "decimal", "double", "single"})


class _Reading:
    def __init__(self, text: str, version: int, types: Mapping[str, str]) -> None:
        self._tokens = _tokens(text)
        self._version = version
        self._types = types

    def whole(self) -> Condition:
        found = self._either()
        if self._tokens:
            raise Refused(f"Syntax error at {self._tokens[0].group().strip()!r}.")
        return found

    def literal(self, kind: str) -> Any:
        token = self._next()
        value = self._value(token, kind)
        if self._tokens:
            raise Refused(f"Syntax error behind {token.group().strip()!r}.")
        return value

    def _either(self) -> Condition:
        found = self._both()
        while self._is("or"):
            self._next()
            found = Joined("or", found, self._both())
        return found

    def _both(self) -> Condition:
        found = self._one()
        while self._is("and"):
            self._next()
            found = Joined("and", found, self._one())
        return found

    def _one(self) -> Condition:
        if self._is("not"):
            self._next()
            return Negated(self._one())
        token = self._next()
        if token["sign"] == "(":
            found = self._either()
            if self._next()["sign"] != ")":
                raise Refused("A parenthesis isn't closed.")
            return found
        name, operator = token["word"], self._next()["word"]
        if name is None or operator not in _OPERATORS:
            raise Refused(f"Syntax error at {token.group().strip()!r}.")
        return Compared(name, operator, self._value(self._next(), self._types.get(name, "string")))

    def _value(self, token: re.Match[str], kind: str) -> Any:
        """The value of a literal of that type."""
        if token["word"] == "null":
            return None
        found, text = self._typed(token)
        if found == "number" and kind in _NUMBERS:
            return float(text.rstrip("LlMmDdFf"))
        if found != kind:
            raise Refused(f"{token.group().strip()!r} is no Edm.{kind}.")
        match kind:
            case "datetimeoffset" | "datetime":
                at = datetime.fromisoformat(text)
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            case "guid":
                return str(UUID(text))
            case "boolean":
                return text == "true"
            case _:
                return text

    def _typed(self, token: re.Match[str]) -> tuple[str, str]:
        if token["text"] is not None:
            return "string", token["text"][1:-1].replace("''", "'")
        if token["word"] in {"true", "false"}:
            return "boolean", token["word"]
        if token["typed"] is not None:
            written = self._version == 2 and token["typed"] in _WRITTEN_2
            return token["typed"] if written else "enum", token["inner"]
        bare = (kind for name, kind in _BARE[self._version].items() if token[name] is not None)
        return next(bare, "nothing"), token.group().strip()

    def _is(self, word: str) -> bool:
        return bool(self._tokens) and self._tokens[0]["word"] == word

    def _next(self) -> re.Match[str]:
        if not self._tokens:
            raise Refused("It ends too early.")
        return self._tokens.pop(0)


def _tokens(text: str) -> list[re.Match[str]]:
    found, at = [], 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise Refused(f"Syntax error at position {at} of {text!r}.")
        found.append(token)
        at = token.end()
    return found
