"""Which streams are alike, for a check? Two that differ in names and paths alone, or in what the check doesn't look at.

A check says what matters to it: all of a stream, or how it is asked, paged, or its cursor. One stream of each kind is tried.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.reading.shape import Shape, TimeField

Matters = Callable[[StreamManifest], Any]
"""What of a stream may change what a check finds."""


def kinds(streams: Mapping[str, StreamManifest], matters: Matters) -> list[str]:
    """The first stream of each kind."""
    found: dict[str, str] = {}
    for name, spec in streams.items():
        found.setdefault(repr(matters(spec)), name)
    return list(found.values())


def asking(spec: StreamManifest) -> Any:
    """How it is asked, whatever for: the system's refusals are the same for all that are asked so."""
    asked, detail = spec.asked, spec.detail
    return asked.method, asked.body is None, detail is None, spec.traits.details > 0, spec.traits.unbroken


def pages(spec: StreamManifest) -> Any:
    """How its pages follow one another, and what lies in them."""
    return asking(spec), _paging(spec), spec.asked.ends, spec.asked.paging_in, _records(spec.shape)


def cursor(spec: StreamManifest) -> Any:
    """When it changed: where that stands, and how it is asked for."""
    asked = spec.asked
    return (
        asking(spec),
        type(spec.paging),
        replace(spec.traits, interval=0.0, after=()),
        spec.incremental and _unnamed(spec.incremental, keeps=("precision", "nulls")),
        spec.shape.cursor and _time_kind(spec.shape.cursor),
        (asked.changes_in, asked.since is None, asked.until is None, asked.behind is None),
    )


def whole(spec: StreamManifest) -> Any:
    """All that the checks could tell two streams apart by: what stands at other paths is found all the same."""
    shape, parts = spec.shape, (spec.swept, spec.tombstones)
    return (
        pages(spec),
        cursor(spec),
        (len(shape.key) > 1, shape.version is None, shape.token is None, shape.deleted is None),
        (spec.removed is None, spec.single is None, spec.tombstones_setting is None),
        tuple(part and whole(part) for part in parts),
    )


def _paging(spec: StreamManifest) -> Any:
    """A page may be larger than another's; that a size is asked for at all, matters."""
    found: Any = spec.paging
    named = {each.name: getattr(found, each.name) for each in fields(found)}
    return type(found).__name__, *(
        bool(value) if name == "size" else _unnamed_value(value) for name, value in named.items()
    )


def _records(shape: Shape) -> Any:
    return (
        shape.records.count("*"),
        shape.total is None,
        shape.needs_cursor,
        shape.or_one,
        shape.explode is None,
    )


def _unnamed(part: Any, keeps: Sequence[str] = ()) -> Any:
    """What is left of it without names, paths and texts, but for some."""
    values = {each.name: getattr(part, each.name) for each in fields(part)}
    left = (value if name in keeps else _unnamed_value(value) for name, value in values.items())
    return type(part).__name__, *left


def _unnamed_value(value: Any) -> Any:
    match value:
        case TimeField():
            return _time_kind(value)
        case str():
            return "text"
        case tuple() | list() | Mapping():
            return len(value)
        case _:
            return _unnamed(value) if is_dataclass(value) else value


def _time_kind(time: TimeField) -> TimeField:
    return replace(time, paths=(("x",),) * len(time.paths))
