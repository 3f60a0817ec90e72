"""What does a manifest say about the tables that people query? Columns with types, custom fields, lines, and the models.

columns: {due_date: date, email: {path: contact.email, type: text}}
custom_fields: [custom_fields]      objects whose fields become columns, too
lines: [lines]                      lists whose entries become a table of their own
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.connectors.manifest.checking import check_template
from worker.connectors.manifest.views.expressions import BadMapping, as_text
from worker.connectors.manifest.views.mapping import ModelMapping, read_models
from worker.connectors.manifest.views.zones import zones_of
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.parsing.documents import Document


@dataclass(frozen=True, slots=True)
class DeclaredColumn:
    """A column whose type the manifest knows."""

    name: str
    path: FieldPath
    kind: str


@dataclass(frozen=True, slots=True)
class TableTraits:
    """What is declared of a stream's table; the rest is seen in its records."""

    columns: tuple[DeclaredColumn, ...] = ()
    custom_fields: tuple[FieldPath, ...] = ()
    lines: tuple[FieldPath, ...] = ()
    empty: tuple[str, ...] = ()
    """Values that mean null in columns other than booleans, as the text that they are in JSON or stand for."""


def read_table(data: Mapping[str, Any]) -> TableTraits:
    """The table of one stream, from keys that the schema has checked."""
    return TableTraits(
        columns=tuple(_column(name, found) for name, found in data.get("columns", {}).items()),
        custom_fields=tuple(field_path_of(path) for path in data.get("custom_fields", ())),
        lines=tuple(field_path_of(path) for path in data.get("lines", ())),
        empty=tuple(as_text(value) for value in data.get("empty", ())),
    )


def _column(name: str, found: str | Mapping[str, Any]) -> DeclaredColumn:
    if isinstance(found, str):
        return DeclaredColumn(name, (name,), found)
    return DeclaredColumn(name, field_path_of(found.get("path", name)), found["type"])


def read_model_mappings(document: Document, streams: Sequence[str]) -> tuple[ModelMapping, ...]:
    """The `models:` of a manifest; what is wrong is told with its line."""
    try:
        mappings = read_models(document.data.get("models", {}), streams)
    except BadMapping as exc:
        raise document.error(("models", *exc.place), "bad_mapping", exc.message, hint=exc.hint) from None
    for mapping in mappings:
        for name in zones_of(mapping):
            check_template(document, ("models", mapping.model), f"{{{name}}}", optional=False)
    return mappings
