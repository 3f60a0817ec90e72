"""What does `models:` say? Which streams are read as which unified models, and what a connection says over that.

Pure: from plain data to frozen data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from worker.connectors.manifest.views.canonical import MODELS, STAMPS, CanonicalField, Model
from worker.connectors.manifest.views.expressions import (
    BadMapping,
    Const,
    Enum,
    Expression,
    conditions_of,
    keys_of,
    path_of,
    read_expression,
)
from worker.connectors.reading.shape import FieldPath
from worker.parsing.documents import suggest


class _Any(tuple[str, ...]):
    """As names of streams: whatever is named."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)


ANY: Sequence[str] = _Any()


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the lines are, and their fields. In a list of the record (`path`), or each a record of a stream of its own,
    which then says under `parent` to which record it belongs.
    """

    path: FieldPath
    fields: Mapping[str, Expression]
    parent: Expression | None = None


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
    empty: tuple[str, ...] = ()
    """Values that mean null in this stream."""


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
    found = keys_of(given, where, needed=("stream", "fields"), known=_KEYS)
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
        where=conditions_of(found.get("where", {}), (*where, "where")),
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
    found = keys_of(given, where, needed=keys, known=keys)
    fields = _fields(found["fields"], model.lines, (*where, "fields"))
    if "stream" in found:
        return Lines((), fields, read_expression(found["parent"], (*where, "parent")))
    return Lines(path_of(found["path"], (*where, "path")), fields)


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
