"""What is an expression of a mapping in SQL?

Pure. `value` is what stands in the view; `source` is the text that it is read from, so that what doesn't read can be told.
"""

from typing import assert_never

from worker.connectors.manifest.views.canonical import CanonicalField
from worker.connectors.manifest.views.expressions import (
    At,
    Concat,
    Const,
    Enum,
    Expression,
    FirstOf,
    KeyOf,
    ListOf,
    Lookup,
)
from worker.views.sql.kinds import KINDS
from worker.views.sql.quoting import array, literal
from worker.views.sql.records import Fields


def note_fields(expression: Expression, kind: str, found: Fields) -> None:
    """Say which fields the SQL of the expression, as that kind, will ask for."""
    match expression:
        case At(path, own):
            found.note(path, typed=KINDS[own or kind].typed)
        case Const():
            pass
        case FirstOf(parts):
            for part in parts:
                note_fields(part, kind, found)
        case Concat(parts) | KeyOf(parts):
            for part in parts:
                note_fields(part, "text", found)
        case Enum(of):
            note_fields(of, "text", found)
        case Lookup(path) | ListOf(path):
            found.note(path, typed=True)
        case _:
            assert_never(expression)


def value(expression: Expression, field: CanonicalField, found: Fields) -> str:
    """The expression as a field of a model: of its type, and one of its choices, or NULL."""
    made = _as(expression, field.kind, found)
    if field.choices and not isinstance(expression, Const | Enum):
        return f"CASE WHEN {made} = ANY ({array(field.choices)}) THEN {made} END"
    return made


def source(expression: Expression, found: Fields) -> str:
    """What the value is read from, as text."""
    match expression:
        case At(path):
            return f"({found.told(path)})"
        case Const() | Concat() | KeyOf() | ListOf():
            return _as(expression, "text", found)
        case FirstOf(parts):
            return f"coalesce({', '.join(source(part, found) for part in parts)})"
        case Enum(of):
            return source(of, found)
        case Lookup():
            return _looked_up(expression, found)
        case _:
            assert_never(expression)


def _as(expression: Expression, kind: str, found: Fields) -> str:
    match expression:
        case At():
            return _at(expression, kind, found)
        case FirstOf(parts):
            return f"coalesce({', '.join(_as(part, kind, found) for part in parts)})"
        case ListOf():
            listed = _listed(expression, found)
            return listed if kind == "json" else _read(kind, f"({listed})::text")
        case _:
            return _read(kind, _text(expression, found))


def _text(expression: Const | Enum | Concat | KeyOf | Lookup, found: Fields) -> str:
    match expression:
        case Const(text):
            return literal(text)
        case Enum():
            return _translated(expression, found)
        case Concat(parts, separator):
            texts = ", ".join(f"nullif({_as(part, 'text', found)}, '')" for part in parts)
            return f"nullif(concat_ws({literal(separator)}, {texts}), '')"
        case KeyOf(parts):
            texts = " || ',' || ".join(
                f"to_json(nullif({_as(part, 'text', found)}, ''))::text" for part in parts
            )
            return f"('[' || {texts} || ']')"
        case Lookup():
            return _looked_up(expression, found)
        case _:
            assert_never(expression)


def _at(expression: At, kind: str, found: Fields) -> str:
    how = expression.kind or kind
    if how == "time" and expression.zone != "UTC":
        made = f"headrace_time(({found.told(expression.path)}), {literal(expression.zone)})"
    else:
        made = found.value(expression.path, how)
    return made if KINDS[how].sql == KINDS[kind].sql else _read(kind, f"({made})::text")


def _read(kind: str, text: str) -> str:
    """Text read as a kind."""
    return f"to_json({text})" if KINDS[kind].typed else KINDS[kind].read.format(f"({text})")


def _translated(expression: Enum, found: Fields) -> str:
    of = _as(expression.of, "text", found)
    cases = " ".join(f"WHEN {literal(theirs)} THEN {literal(ours)}" for theirs, ours in expression.table)
    if expression.other is None:
        return f"CASE {of} {cases} END"
    return f"CASE WHEN {of} IS NOT NULL THEN CASE {of} {cases} ELSE {literal(expression.other)} END END"


def _looked_up(expression: Lookup, found: Fields) -> str:
    conditions = " AND ".join(f"e #>> {array(path)} = {literal(wanted)}" for path, wanted in expression.where)
    entries = f"json_array_elements(headrace_entries({found.json(expression.path)})) AS e"
    return f"(SELECT e #>> {array(expression.value)} FROM {entries} WHERE {conditions} LIMIT 1)"  # noqa: S608 - quoted


def _listed(expression: ListOf, found: Fields) -> str:
    """A single value counts as a list of one: `assigned_to: anna`."""
    json = found.json(expression.path)
    path = array(expression.value)
    several = (
        f"(SELECT json_agg(e #>> {path}) FROM json_array_elements(headrace_entries({json})) AS e"  # noqa: S608 - quoted
        f" WHERE e #>> {path} IS NOT NULL)"
    )
    single = f"json_build_array({json} #>> {path})"
    return (
        f"CASE WHEN json_typeof({json}) = 'array' THEN coalesce({several}, '[]')"
        f" WHEN {json} #>> {path} IS NOT NULL THEN {single} END"
    )
