"""Whose clock do times of a model show that have no offset? That of a zone which the mapping names, or which each connection
does, by a setting:

    models: {work_order: {stream: jobs, fields: {due_at: {path: due, zone: "{timezone}"}}}}

What a connection says stands in its place before SQL is made of it, so views know nothing of this.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from worker.connectors.manifest.views.expressions import SETTING, At, Expression
from worker.connectors.manifest.views.mapping import ModelMapping

T = TypeVar("T")


def setting_of(zone: str) -> str | None:
    """The setting that names the zone; None: it is one."""
    found = SETTING.fullmatch(zone)
    return None if found is None else found[1]


def zones_of(mapping: ModelMapping) -> Iterator[str]:
    """The settings that a mapping asks for."""
    for expression in _expressions(mapping):
        yield from (name for at in _ats(expression) if (name := setting_of(at.zone)) is not None)


def zones_in(mappings: Iterable[ModelMapping]) -> tuple[str, ...]:
    """The same of several, each once."""
    return tuple(dict.fromkeys(name for mapping in mappings for name in zones_of(mapping)))


def with_zones(mapping: ModelMapping, zones: Mapping[str, str]) -> ModelMapping:
    """The mapping by the clocks of a connection: `zones` are its settings. The same where it waits for none."""
    if not any(True for _ in zones_of(mapping)):
        return mapping
    lines = mapping.lines
    return replace(
        mapping,
        fields={name: _zoned(each, zones) for name, each in mapping.fields.items()},
        custom_fields={name: _zoned(each, zones) for name, each in mapping.custom_fields.items()},
        lines=lines
        and replace(lines, fields={name: _zoned(each, zones) for name, each in lines.fields.items()}),
    )


def _expressions(mapping: ModelMapping) -> Iterator[Expression]:
    yield from mapping.fields.values()
    yield from mapping.custom_fields.values()
    if mapping.lines is not None:
        yield from mapping.lines.fields.values()


def _ats(found: Any) -> Iterator[At]:
    """All that reads a path as it is, however deep."""
    if isinstance(found, At):
        yield found
    elif isinstance(found, tuple):
        for each in found:
            yield from _ats(each)
    elif is_dataclass(found):
        for part in fields(found):
            yield from _ats(getattr(found, part.name))


def _zoned(found: T, zones: Mapping[str, str]) -> T:
    if isinstance(found, At):
        name = setting_of(found.zone)
        return found if name is None else replace(found, zone=zones[name])
    if isinstance(found, tuple):
        return type(found)(_zoned(each, zones) for each in found)
    if is_dataclass(found) and not isinstance(found, type):
        return replace(
            found, **{part.name: _zoned(getattr(found, part.name), zones) for part in fields(found)}
        )
    return found
