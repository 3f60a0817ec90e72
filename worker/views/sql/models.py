"""What is the SQL of the unified models?

Pure. A branch reads the records of one stream, or of all streams that are mapped alike; a view is one branch or several.
Every column is there in every branch, in one order and of one type, so any of them can be put together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from worker.connectors.manifest.views.canonical import MODELS, STAMPS, CanonicalField, Model
from worker.connectors.manifest.views.expressions import Expression
from worker.connectors.manifest.views.mapping import Lines, ModelMapping
from worker.views.sql.columns import Path
from worker.views.sql.expressions import note_fields, source, value
from worker.views.sql.kinds import KINDS
from worker.views.sql.quoting import array, ident, literal
from worker.views.sql.records import Fields, Place

LINES = "lines"


@dataclass(frozen=True, slots=True)
class Branch:
    """A SELECT of a mapping that doesn't say yet of which streams."""

    columns: str
    joins: str
    where: str

    def over(self, streams: str, condition: str) -> str:
        return f"SELECT {self.columns}\n  FROM {streams}{self.joins}\n WHERE {condition}{self.where}"  # noqa: S608 - quoted

    def dumped(self) -> str:
        return json.dumps([self.columns, self.joins, self.where])

    @classmethod
    def loaded(cls, text: str) -> Self:
        return cls(*json.loads(text))


_BEFORE: dict[str, tuple[str, str]] = {
    "id": ("text", "r.stream_id::text || ':' || r.key"),
    "connection": ("text", "c.name"),
    "environment": ("text", "c.environment"),
    "connection_id": ("bigint", "c.id"),
    "remote_id": ("text", "r.key"),
}
_AFTER: dict[str, tuple[str, str]] = {
    "remote_key": (
        "json",
        "CASE WHEN r.key LIKE '[%' AND pg_input_is_valid(r.key, 'json') THEN r.key::json ELSE to_json(r.key) END",
    ),
    "remote_updated_at": ("timestamptz", "r.source_updated_at"),
    "remote_deleted_at": ("timestamptz", "r.deleted_at"),
    "synced_at": ("timestamptz", "r.observed_at"),
    "raw": ("json", "r.raw"),
}
_PLACE: dict[str, tuple[str, str]] = {
    "change_xid": ("xid8", "r.change_xid"),
    "change_seq": ("bigint", "r.change_seq"),
}
_ENTRY = "CASE WHEN json_typeof(l.entry) = 'object' THEN l.entry END"
_KEY = CanonicalField()
_LINE: dict[str, tuple[str, str]] = {
    "parent_id": ("text", "r.stream_id::text || ':' || r.key"),
    "connection": ("text", "c.name"),
    "environment": ("text", "c.environment"),
    "connection_id": ("bigint", "c.id"),
    "parent_remote_id": ("text", "r.key"),
    "position": ("bigint", "l.line_no"),
    "remote_deleted_at": ("timestamptz", "r.deleted_at"),
    "synced_at": ("timestamptz", "r.observed_at"),
}


def columns_of(model: Model) -> dict[str, str]:
    """Names and types of a model's view."""
    fixed = {name: kind for part in (_BEFORE, _AFTER, _PLACE) for name, (kind, _) in part.items()}
    own = {name: KINDS[field.kind].sql for name, field in {**model.fields, **STAMPS}.items()}
    first = {name: fixed.pop(name) for name in _BEFORE}
    return {**first, **own, **fixed, "custom_fields": "json"}


def line_columns_of(model: Model) -> dict[str, str]:
    """Names and types of the view of a model's lines."""
    own = {name: KINDS[field.kind].sql for name, field in model.lines.items()}
    return {**{name: kind for name, (kind, _) in _LINE.items()}, **own, "raw": "json"}


def branch_of(mapping: ModelMapping, custom_fields: Sequence[Path]) -> Branch:
    """The records of a mapping as its model."""
    model = MODELS[mapping.model]
    fields = {**model.fields, **STAMPS}
    found = _noted(mapping, custom_fields)
    made = {
        **{name: how for name, (_, how) in (_BEFORE | _AFTER | _PLACE).items()},
        **{name: _field(mapping.fields.get(name), field, found) for name, field in fields.items()},
        "custom_fields": _custom_fields(mapping, custom_fields, found),
    }
    return Branch(_listed(made, columns_of(model)), found.join(), _where(mapping, found))


def lines_branch_of(mapping: ModelMapping) -> Branch | None:
    """The same for its lines."""
    model, lines = MODELS[mapping.model], mapping.lines
    if lines is None:
        return None
    if mapping.of is not None:
        return _apart(model, lines, mapping)
    found = _noted_lines(lines, model, Fields(source=_ENTRY, empty=mapping.empty))
    around = Fields(alias="p")
    for path, _ in mapping.where:
        around.note(path, typed=False)
    made = {
        **{name: how for name, (_, how) in _LINE.items()},
        **{name: _field(lines.fields.get(name), field, found) for name, field in model.lines.items()},
        "raw": "l.entry",
    }
    entries = f"headrace_entries(headrace_fields(r.raw) #> {array(lines.path)})"
    joins = (
        f"{around.join()}\n CROSS JOIN LATERAL json_array_elements({entries}) WITH ORDINALITY"
        f" AS l (entry, line_no){found.join()}"
    )
    return Branch(_listed(made, line_columns_of(model)), joins, _where(mapping, around))


def _apart(model: Model, lines: Lines, mapping: ModelMapping) -> Branch:
    """Lines that are records of their own."""
    found = _noted_lines(lines, model, Fields(empty=mapping.empty))
    assert lines.parent is not None  # noqa: S101 - they are a stream of their own
    note_fields(lines.parent, "text", found)
    key = value(lines.parent, _KEY, found)
    stream = f"(SELECT s.id::text FROM public.streams s WHERE s.connection_id = c.id AND s.name = {literal(mapping.of or '')})"  # noqa: S608
    made = {
        **{name: how for name, (_, how) in _LINE.items()},
        "parent_id": f"{stream} || ':' || ({key})",
        "parent_remote_id": key,
        "position": "NULL::bigint",
        **{name: _field(lines.fields.get(name), field, found) for name, field in model.lines.items()},
        "raw": "r.raw",
    }
    return Branch(_listed(made, line_columns_of(model)), found.join(), "")


def of_stream(branch: Branch, place: Place, connection: int) -> str:
    """A branch for one stream."""
    streams = f"{place.table} r CROSS JOIN public.connections c"
    return branch.over(streams, f"c.id = {int(connection)} AND {place.condition}")


def of_mapping(branch: Branch, model: str, mapping: str) -> str:
    """A branch for all streams of a mapping."""
    streams = (
        "public.model_streams m JOIN public.connections c ON c.id = m.connection_id"
        " JOIN public.records r ON r.bucket = m.bucket AND r.stream_id = m.stream_id"
    )
    return branch.over(streams, f"m.model = {literal(model)} AND m.mapping = {literal(mapping)}")


def together(branches: Sequence[str], columns: Mapping[str, str]) -> str:
    """Branches as one view; without any it is empty, and has its columns."""
    if branches:
        return "\nUNION ALL\n".join(branches)
    nothing = ", ".join(f"NULL::{kind} AS {ident(name)}" for name, kind in columns.items())
    return f"SELECT {nothing} WHERE false"


def problems_of(mapping: ModelMapping, place: Place) -> tuple[list[str], str] | None:
    """Fields that may not read as what they should be, and a row with how many don't (`n0`, …) and examples (`e0`, …)."""
    model = MODELS[mapping.model]
    fields = {**model.fields, **STAMPS}
    found = _noted(mapping, ())
    told = [
        name
        for name, expression in mapping.fields.items()
        if fields[name].choices or KINDS[fields[name].kind].sql not in {"text", "json"}
    ]
    if not told:
        return None
    parts = []
    for number, name in enumerate(told):
        text = source(mapping.fields[name], found)
        wrong = f"FILTER (WHERE {text} IS NOT NULL AND ({_field(mapping.fields[name], fields[name], found)}) IS NULL)"
        parts.append(
            f"count(*) {wrong} AS n{number},"
            f" (array_agg(r.key || ': ' || left({text}, 60)) {wrong})[1:3] AS e{number}"
        )
    asked = Branch(", ".join(parts), found.join(), _where(mapping, found))
    return told, asked.over(f"{place.table} r", place.condition)


def _noted(mapping: ModelMapping, custom_fields: Sequence[Path]) -> Fields:
    found = Fields(empty=mapping.empty)
    fields = {**MODELS[mapping.model].fields, **STAMPS}
    for name, expression in mapping.fields.items():
        note_fields(expression, fields[name].kind, found)
    for expression in mapping.custom_fields.values():
        note_fields(expression, "json", found)
    for path, _ in mapping.where:
        found.note(path, typed=False)
    for path in custom_fields:
        found.note(path, typed=True)
    return found


def _noted_lines(lines: Lines, model: Model, found: Fields) -> Fields:
    for name, expression in lines.fields.items():
        note_fields(expression, model.lines[name].kind, found)
    return found


def _field(expression: Expression | None, field: CanonicalField, found: Fields) -> str:
    if expression is None:
        return f"NULL::{KINDS[field.kind].sql}"
    return f"({value(expression, field, found)})::{KINDS[field.kind].sql}"


def _custom_fields(mapping: ModelMapping, containers: Sequence[Path], found: Fields) -> str:
    """What the system keeps as custom fields, whole, unless the mapping names them one by one."""
    if mapping.custom_fields:
        text = CanonicalField("json")
        pairs = ", ".join(
            f"{literal(name)}, ({value(expression, text, found)})"
            for name, expression in mapping.custom_fields.items()
        )
        return f"json_build_object({pairs})"
    return found.json(containers[0]) if containers else "NULL::json"


def _where(mapping: ModelMapping, found: Fields) -> str:
    return "".join(f" AND ({found.text(path)}) = ANY ({array(values)})" for path, values in mapping.where)


def _listed(made: Mapping[str, str], columns: Mapping[str, str]) -> str:
    return ", ".join(f"{made[name]} AS {ident(name)}" for name in columns)
