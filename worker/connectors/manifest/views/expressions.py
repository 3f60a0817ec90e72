"""What is an expression of `models:`? How a field of a unified model comes out of a record, as data.

    "contact.email"                                      what stands there
    {path: created, as: epoch_ms}                        read as a kind of its own; `zone` for times without an offset, or {name}: a setting
    {const: EUR}                                         the same for all
    {first_of: [a, b]}                                   the first that isn't empty
    {enum: {WAPPR: open, COMP: done}, of: status, else: open}
    {concat: [first, last], separator: " "}
    {key: [assetnum, siteid]}                            the key of a record that these texts name together; all or none
    {lookup: phones, where: {kind: work}, value: number} of the first entry of a list that fits
    {list: assignees, value: id}                         all entries of a list

Pure: from plain data to frozen data. `worker/views` makes SQL of it; nothing is evaluated here or anywhere in Python.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.parsing.documents import suggest

KINDS = (
    "text", "number", "integer", "boolean", "time", "date", "json", "epoch_s", "epoch_ms", "odata_date", "odata_day",
    "typed_time", "typed_date", "typed_decimal",
)  # fmt: skip
"""What a value may be read as. `/Date(1492041600000)/` is a moment or a day; the typed ones are objects with a
`__class__`, as Tryton writes them.
"""


SETTING = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""A zone that is a connection's: the name of a setting in braces (see `zones`)."""


class BadMapping(Exception):
    """What is wrong, and where below the mapping."""

    def __init__(self, place: Sequence[str | int], message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.place, self.message, self.hint = tuple(place), message, hint


@dataclass(frozen=True, slots=True)
class At:
    """What stands at a path."""

    path: FieldPath
    kind: str | None = None
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Const:
    value: str


@dataclass(frozen=True, slots=True)
class FirstOf:
    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Enum:
    of: "Expression"
    table: tuple[tuple[str, str], ...]
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Concat:
    parts: "tuple[Expression, ...]"
    separator: str = " "


@dataclass(frozen=True, slots=True)
class KeyOf:
    """As `make_key` writes the key of several fields. One that is missing makes it null: it names nothing."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Lookup:
    path: FieldPath
    where: tuple[tuple[FieldPath, str], ...]
    value: FieldPath


@dataclass(frozen=True, slots=True)
class ListOf:
    path: FieldPath
    value: FieldPath = ()


Expression: TypeAlias = At | Const | FirstOf | Enum | Concat | KeyOf | Lookup | ListOf


def read_expression(given: Any, where: tuple[str | int, ...] = ()) -> Expression:
    """One expression. Raises `BadMapping`."""
    if isinstance(given, str | list):
        return At(path_of(given, where))
    if not isinstance(given, Mapping):
        raise BadMapping(where, "This is no expression.", "Write a path, or {const: …}.")
    for kind, read in _READERS.items():
        if kind in given:
            return read(given, where)
    raise BadMapping(where, "This is no expression.", f"One of {', '.join(_READERS)} is missing.")


def _read_at(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = keys_of(given, where, needed=("path",), known=("path", "as", "zone"))
    kind, zone = found.get("as"), found.get("zone", "UTC")
    if kind is not None and kind not in KINDS:
        raise BadMapping((*where, "as"), f"There is no kind {kind!r}.", suggest(str(kind), KINDS) or None)
    try:
        if not (isinstance(zone, str) and SETTING.fullmatch(zone)):
            ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise BadMapping((*where, "zone"), f"There is no time zone {zone!r}.") from None
    return At(path_of(found["path"], where), kind, zone)


def _read_const(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    return Const(_text(keys_of(given, where, needed=("const",), known=("const",))["const"], where))


def _read_first_of(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = keys_of(given, where, needed=("first_of",), known=("first_of",))
    return FirstOf(_several(found["first_of"], (*where, "first_of")))


def _read_concat(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = keys_of(given, where, needed=("concat",), known=("concat", "separator"))
    return Concat(_several(found["concat"], (*where, "concat")), _text(found.get("separator", " "), where))


def _read_key(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = keys_of(given, where, needed=("key",), known=("key",))
    return KeyOf(_several(found["key"], (*where, "key")))


def _read_enum(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = keys_of(given, where, needed=("enum", "of"), known=("enum", "of", "else"))
    if not isinstance(found["enum"], Mapping) or not found["enum"]:
        raise BadMapping((*where, "enum"), "enum is a mapping of their words to ours.")
    table = tuple((name, _text(to, (*where, "enum", name))) for name, to in found["enum"].items())
    other = found.get("else")
    return Enum(
        read_expression(found["of"], (*where, "of")), table, None if other is None else _text(other, where)
    )


def _read_lookup(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    keys = ("lookup", "where", "value")
    found = keys_of(given, where, needed=keys, known=keys)
    conditions = conditions_of(found["where"], (*where, "where"))
    return Lookup(
        path_of(found["lookup"], where),
        tuple((path, values[0]) for path, values in conditions),
        path_of(found["value"], where),
    )


def _read_list(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = keys_of(given, where, needed=("list",), known=("list", "value"))
    value = path_of(found["value"], where) if "value" in found else ()
    return ListOf(path_of(found["list"], where), value)


_READERS: Mapping[str, Callable[[Mapping[str, Any], tuple[str | int, ...]], Expression]] = {
    "const": _read_const,
    "first_of": _read_first_of,
    "enum": _read_enum,
    "concat": _read_concat,
    "key": _read_key,
    "lookup": _read_lookup,
    "list": _read_list,
    "path": _read_at,
}


def _several(given: Any, where: tuple[str | int, ...]) -> tuple[Expression, ...]:
    if not isinstance(given, list) or not given:
        raise BadMapping(where, "This is a list of expressions.")
    return tuple(read_expression(one, (*where, place)) for place, one in enumerate(given))


def conditions_of(given: Any, where: tuple[str | int, ...]) -> tuple[tuple[FieldPath, tuple[str, ...]], ...]:
    if not isinstance(given, Mapping):
        raise BadMapping(where, "where is a mapping of fields and values.")
    return tuple(
        (
            field_path_of(name),
            tuple(_text(one, where) for one in (value if isinstance(value, list) else [value])),
        )
        for name, value in given.items()
    )


def path_of(given: Any, where: tuple[str | int, ...]) -> FieldPath:
    if isinstance(given, list):
        path = tuple(given)
    elif isinstance(given, str):
        path = field_path_of(given)
    else:
        path = ()
    if not path or not all(isinstance(part, str) and part and "\0" not in part for part in path):
        raise BadMapping(where, "A path is names joined by dots, or a list of names.")
    return path


def _text(given: Any, where: tuple[str | int, ...]) -> str:
    """A value as it is compared and stored: as the text that JSON has for it."""
    if not isinstance(given, str | int | float) or (isinstance(given, str) and "\0" in given):
        raise BadMapping(where, "This must be text, a number, true or false.")
    return as_text(given)


def as_text(value: str | float | bool) -> str:
    """What Postgres reads out of JSON for it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def keys_of(
    given: Any, where: tuple[str | int, ...], *, needed: Sequence[str], known: Sequence[str]
) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise BadMapping(where, "This is a mapping of keys.")
    for name in given:
        if name not in known:
            raise BadMapping((*where, name), f"Unknown key {name!r}.", suggest(str(name), known) or None)
    for name in needed:
        if name not in given:
            raise BadMapping(where, f"The key {name!r} is missing.")
    return given
