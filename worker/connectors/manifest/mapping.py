"""What does `models:` say? Expressions, as data: how a field of a unified model comes out of a record.

    "contact.email"                                      what stands there
    {path: created, as: epoch_ms}                        read as a kind of its own; `zone` for times without an offset
    {const: EUR}                                         the same for all
    {first_of: [a, b]}                                   the first that isn't empty
    {enum: {WAPPR: open, COMP: done}, of: status, else: open}
    {concat: [first, last], separator: " "}
    {lookup: phones, where: {kind: work}, value: number} of the first entry of a list that fits
    {list: assignees, value: id}                         all entries of a list

Pure: from plain data to frozen data. `worker/views` makes SQL of it; nothing is evaluated here or anywhere in Python.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.connectors.manifest.canonical import MODELS, STAMPS, CanonicalField, Model
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.documents import suggest

KINDS = (
    "text", "number", "integer", "boolean", "time", "date", "json", "epoch_s", "epoch_ms", "typed_time", "typed_date",
    "typed_decimal",
)  # fmt: skip
"""What a value may be read as. The typed ones are objects with a `__class__`, as Tryton writes them."""


class _Any(tuple[str, ...]):
    """As names of streams: whatever is named."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)


ANY: Sequence[str] = _Any()


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
class Lookup:
    path: FieldPath
    where: tuple[tuple[FieldPath, str], ...]
    value: FieldPath


@dataclass(frozen=True, slots=True)
class ListOf:
    path: FieldPath
    value: FieldPath = ()


Expression: TypeAlias = At | Const | FirstOf | Enum | Concat | Lookup | ListOf


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the lines are, and their fields. In a list of the record (`path`), or each a record of a stream of its own,
    which then says under `parent` to which record it belongs.
    """

    path: FieldPath
    fields: Mapping[str, Expression]
    parent: FieldPath = ()


@dataclass(frozen=True, slots=True)
class ModelMapping:
    """How one stream is read as one model."""

    model: str
    stream: str
    fields: Mapping[str, Expression]
    where: tuple[tuple[FieldPath, tuple[str, ...]], ...] = ()
    custom_fields: Mapping[str, Expression] = field(default_factory=dict)
    lines: Lines | None = None
    of: str | None = None
    """Only the lines of the records of this stream are read here."""


def read_models(found: Mapping[str, Any], streams: Sequence[str]) -> tuple[ModelMapping, ...]:
    """The whole of `models:`; a model has one stream, or a list of them. Raises `BadMapping`."""
    mappings: list[ModelMapping] = []
    for name, given in found.items():
        model = _model(name)
        several = given if isinstance(given, list) else [given]
        for place, one in enumerate(several):
            where = (name, place) if isinstance(given, list) else (name,)
            mappings += _mapping(model, one, streams, where)
        own = [mapping.stream for mapping in mappings if mapping.model == name]
        if len(set(own)) < len(own):
            raise BadMapping((name,), f"A stream is named twice for {name}.")
    return tuple(mappings)


def override(
    mappings: Sequence[ModelMapping], found: Mapping[str, Any], streams: Sequence[str]
) -> tuple[ModelMapping, ...]:
    """The mappings with what a connection says over them: fields of its own, custom fields, models of its own, or none
    (`asset: false`).
    """
    result = list(mappings)
    for name, given in found.items():
        model = _model(name)
        if given is False:
            result = [mapping for mapping in result if mapping.model != name]
            continue
        if isinstance(given, list):
            result = [mapping for mapping in result if mapping.model != name]
            result += read_models({name: given}, streams)
            continue
        below = [mapping for mapping in result if mapping.model == name]
        if not isinstance(given, Mapping):
            raise BadMapping((name,), "A model is a mapping of keys, or false.")
        stream = given.get("stream", below[0].stream if below else None)
        base = next((mapping for mapping in below if mapping.stream == stream), None)
        if base is None:
            result += _mapping(model, given, streams, (name,))
            continue
        own, *apart = _mapping(model, {"fields": {}, **given, "stream": stream}, streams, (name,))
        if apart:
            result = [mapping for mapping in result if mapping.of != stream] + apart
        result[result.index(base)] = replace(
            base,
            fields={**base.fields, **own.fields},
            where=own.where or base.where,
            custom_fields={**base.custom_fields, **own.custom_fields},
            lines=_lines_over(base.lines, own.lines),
        )
    return tuple(result)


def check_override(found: Mapping[str, Any]) -> None:
    """Whether this reads as what a connection may say, whichever streams there are. Raises `BadMapping`."""
    for name, given in found.items():
        model = _model(name)
        if given is False:
            continue
        if isinstance(given, list):
            read_models({name: given}, ANY)
        else:
            over = {"fields": {}, "stream": name, **given} if isinstance(given, Mapping) else given
            _mapping(model, over, ANY, (name,))


def _lines_over(below: Lines | None, own: Lines | None) -> Lines | None:
    if own is None or below is None or own.path != below.path:
        return own or below
    return Lines(own.path, {**below.fields, **own.fields})


def _model(name: str) -> Model:
    if name not in MODELS:
        raise BadMapping((name,), f"There is no model {name!r}.", suggest(name, MODELS) or None)
    return MODELS[name]


MOST_CUSTOM_FIELDS = 50
"""Postgres takes a hundred arguments, and each field is two."""

_KEYS = ("stream", "where", "fields", "custom_fields", "lines")


def _mapping(
    model: Model, given: Any, streams: Sequence[str], where: tuple[str | int, ...]
) -> list[ModelMapping]:
    """One, and behind it that of its lines where they are a stream of their own."""
    found = _keys(given, where, needed=("stream", "fields"), known=_KEYS)
    stream = found["stream"]
    if stream not in streams:
        hint = suggest(str(stream), streams) or None
        raise BadMapping((*where, "stream"), f"There is no stream {stream!r}.", hint)
    lines = _lines(model, found["lines"], (*where, "lines")) if "lines" in found else None
    apart = [] if lines is None or lines.path else [found["lines"]["stream"]]
    for other in apart:
        if other not in streams or other == stream:
            hint = suggest(str(other), streams) or None
            raise BadMapping((*where, "lines", "stream"), f"There is no other stream {other!r}.", hint)
    custom = found.get("custom_fields", {})
    if not isinstance(custom, Mapping) or len(custom) > MOST_CUSTOM_FIELDS:
        message = f"custom_fields is a mapping of at most {MOST_CUSTOM_FIELDS} names."
        raise BadMapping((*where, "custom_fields"), message)
    header = ModelMapping(
        model=model.name,
        stream=stream,
        fields=_fields(found["fields"], {**model.fields, **STAMPS}, (*where, "fields")),
        where=_where(found.get("where", {}), (*where, "where")),
        custom_fields={
            name: read_expression(one, (*where, "custom_fields", name)) for name, one in custom.items()
        },
        lines=None if apart else lines,
    )
    return [header, *(ModelMapping(model.name, other, {}, lines=lines, of=stream) for other in apart)]


def _lines(model: Model, given: Any, where: tuple[str | int, ...]) -> Lines:
    if not model.lines:
        raise BadMapping(where, f"A {model.name} has no lines.")
    keys = (
        ("stream", "parent", "fields")
        if isinstance(given, Mapping) and "stream" in given
        else ("path", "fields")
    )
    found = _keys(given, where, needed=keys, known=keys)
    fields = _fields(found["fields"], model.lines, (*where, "fields"))
    if "stream" in found:
        return Lines((), fields, _path(found["parent"], (*where, "parent")))
    return Lines(_path(found["path"], (*where, "path")), fields)


def _fields(
    given: Any, known: Mapping[str, CanonicalField], where: tuple[str | int, ...]
) -> dict[str, Expression]:
    if not isinstance(given, Mapping):
        raise BadMapping(where, "fields is a mapping of names.")
    result: dict[str, Expression] = {}
    for name, one in given.items():
        if name not in known:
            raise BadMapping((*where, name), f"There is no field {name!r}.", suggest(name, known) or None)
        result[name] = read_expression(one, (*where, name))
        _check_choices(result[name], known[name].choices, (*where, name))
    return result


def _check_choices(expression: Expression, choices: tuple[str, ...], where: tuple[str | int, ...]) -> None:
    said: tuple[str | None, ...] = ()
    if isinstance(expression, Const):
        said = (expression.value,)
    elif isinstance(expression, Enum):
        said = (*(to for _, to in expression.table), expression.other)
    for value in said:
        if choices and value is not None and value not in choices:
            hint = suggest(value, choices) or None
            raise BadMapping(where, f"{value!r} is none of {', '.join(choices)}.", hint)


def _where(given: Any, where: tuple[str | int, ...]) -> tuple[tuple[FieldPath, tuple[str, ...]], ...]:
    if not isinstance(given, Mapping):
        raise BadMapping(where, "where is a mapping of fields and values.")
    return tuple(
        (
            field_path_of(name),
            tuple(_text(one, where) for one in (value if isinstance(value, list) else [value])),
        )
        for name, value in given.items()
    )


def read_expression(given: Any, where: tuple[str | int, ...] = ()) -> Expression:
    """One expression. Raises `BadMapping`."""
    if isinstance(given, str | list):
        return At(_path(given, where))
    if not isinstance(given, Mapping):
        raise BadMapping(where, "This is no expression.", "Write a path, or {const: …}.")
    for kind, read in _READERS.items():
        if kind in given:
            return read(given, where)
    raise BadMapping(where, "This is no expression.", f"One of {', '.join(_READERS)} is missing.")


def _read_at(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = _keys(given, where, needed=("path",), known=("path", "as", "zone"))
    kind, zone = found.get("as"), found.get("zone", "UTC")
    if kind is not None and kind not in KINDS:
        raise BadMapping((*where, "as"), f"There is no kind {kind!r}.", suggest(str(kind), KINDS) or None)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise BadMapping((*where, "zone"), f"There is no time zone {zone!r}.") from None
    return At(_path(found["path"], where), kind, zone)


def _read_const(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    return Const(_text(_keys(given, where, needed=("const",), known=("const",))["const"], where))


def _read_first_of(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = _keys(given, where, needed=("first_of",), known=("first_of",))
    return FirstOf(_several(found["first_of"], (*where, "first_of")))


def _read_concat(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = _keys(given, where, needed=("concat",), known=("concat", "separator"))
    return Concat(_several(found["concat"], (*where, "concat")), _text(found.get("separator", " "), where))


def _read_enum(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = _keys(given, where, needed=("enum", "of"), known=("enum", "of", "else"))
    if not isinstance(found["enum"], Mapping) or not found["enum"]:
        raise BadMapping((*where, "enum"), "enum is a mapping of their words to ours.")
    table = tuple((name, _text(to, (*where, "enum", name))) for name, to in found["enum"].items())
    other = found.get("else")
    return Enum(
        read_expression(found["of"], (*where, "of")), table, None if other is None else _text(other, where)
    )


def _read_lookup(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    keys = ("lookup", "where", "value")
    found = _keys(given, where, needed=keys, known=keys)
    conditions = _where(found["where"], (*where, "where"))
    return Lookup(
        _path(found["lookup"], where),
        tuple((path, values[0]) for path, values in conditions),
        _path(found["value"], where),
    )


def _read_list(given: Mapping[str, Any], where: tuple[str | int, ...]) -> Expression:
    found = _keys(given, where, needed=("list",), known=("list", "value"))
    value = _path(found["value"], where) if "value" in found else ()
    return ListOf(_path(found["list"], where), value)


_READERS: Mapping[str, Callable[[Mapping[str, Any], tuple[str | int, ...]], Expression]] = {
    "const": _read_const,
    "first_of": _read_first_of,
    "enum": _read_enum,
    "concat": _read_concat,
    "lookup": _read_lookup,
    "list": _read_list,
    "path": _read_at,
}


def _several(given: Any, where: tuple[str | int, ...]) -> tuple[Expression, ...]:
    if not isinstance(given, list) or not given:
        raise BadMapping(where, "This is a list of expressions.")
    return tuple(read_expression(one, (*where, place)) for place, one in enumerate(given))


def _path(given: Any, where: tuple[str | int, ...]) -> FieldPath:
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
    if isinstance(given, bool):
        return "true" if given else "false"
    if not isinstance(given, str | int | float) or (isinstance(given, str) and "\0" in given):
        raise BadMapping(where, "This must be text, a number, true or false.")
    return str(given)


def _keys(
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
